package compile

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Validate has the engine check a module as it came, before it was rewritten: what is
// wrong may be right once the rewriter has added its own functions, globals and locals.
// The error is a [BadModuleError].
//
// The engine validates a module and then asks for listeners to its functions, before it
// compiles: there it is stopped. It is the interpreter, which has nothing to
// set up. A hostile module can make this take long: the pipeline calls it in a child
// process, if it can have one.
func Validate(ctx context.Context, wasm []byte) (err error) {
	rt := wazero.NewRuntimeWithConfig(ctx, bounded(wazero.NewRuntimeConfigInterpreter()).WithDebugInfoEnabled(false))
	defer rt.Close(ctx) //nolint:errcheck // nothing is open
	defer func() {
		if r := recover(); r != nil && r != any(isValid{}) { // over a module that is not valid
			err = badModule("the engine failed to validate it: %v", r)
		}
	}()
	if _, err := rt.CompileModule(experimental.WithFunctionListenerFactory(ctx, isValid{}), wasm); err != nil {
		return badModule("%w", err)
	}
	return nil
}

// isValid is the listener that stops the engine when a module was validated. Nobody asks
// for it where there are no functions, and nothing to compile then.
type isValid struct{}

// NewFunctionListener implements [experimental.FunctionListenerFactory].
func (isValid) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	panic(isValid{}) //nolint:forbidigo // the only way out of the engine here; Validate takes it
}

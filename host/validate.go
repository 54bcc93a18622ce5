package host

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// validate has the engine check a module as it came, before it was rewritten: what is
// wrong may be right once the rewriter has added its own functions, globals and locals.
// The engine validates a module and then asks who wants to listen to its functions,
// before it compiles: there it is stopped. It is the interpreter, which has nothing to
// set up. A hostile module can make this take long: where it can, it runs in a child
// process.
func validate(ctx context.Context, wasm []byte) (err error) {
	rt := wazero.NewRuntimeWithConfig(ctx, bounded(wazero.NewRuntimeConfigInterpreter()).WithDebugInfoEnabled(false))
	defer rt.Close(ctx) //nolint:errcheck // nothing is open
	defer func() {
		if r := recover(); r != nil && r != any(isValid{}) { // over a module that is not valid
			err = fmt.Errorf("the engine failed to validate it: %v", r)
		}
	}()
	_, err = rt.CompileModule(experimental.WithFunctionListenerFactory(ctx, isValid{}), wasm)
	return err
}

// isValid is the listener that stops the engine when a module was validated. Nobody asks
// for it where there are no functions, and nothing to compile then.
type isValid struct{}

// NewFunctionListener implements [experimental.FunctionListenerFactory].
func (isValid) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	panic(isValid{}) //nolint:forbidigo // the only way out of the engine here; validate takes it
}

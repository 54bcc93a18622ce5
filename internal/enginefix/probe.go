package enginefix

import (
	"context"
	_ "embed"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
)

// probe is what wat2wasm makes of probe.wat.
//
//go:embed probe.wasm
var probe []byte

// Check returns an error when the engine of this program gets wrong what this package
// corrects: then nothing that it compiles can be trusted. It tries that once, which takes
// a millisecond, and is safe for concurrent use.
func Check() error { return checked() }

var checked = sync.OnceValue(check)

func check() error {
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx) //nolint:errcheck // nothing is open
	mod, err := rt.Instantiate(ctx, probe)
	if err != nil {
		return fmt.Errorf("enginefix: the probe: %w", err)
	}
	results, err := mod.ExportedFunction("wrong").Call(ctx)
	if err != nil {
		return fmt.Errorf("enginefix: the probe: %w", err)
	}
	if n := results[0]; n > 0 {
		return fmt.Errorf("enginefix: the wazero of this program gets %d of 8 selects and branches wrong: build it with wazero v1.12.0, whose faults are corrected, or a version without them (see docs/engine.md)", n)
	}
	return nil
}

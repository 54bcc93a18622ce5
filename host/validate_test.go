package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// sameAcceptance returns an error unless the pipeline takes a module exactly if the
// engine takes it as it came. What it refuses by a rule of its own may be valid.
func sameAcceptance(ctx context.Context, wasm []byte) error {
	out, refused := prepare(ctx, wasm)
	if ownRule(refused) {
		return nil // among these are modules that the engine does not survive
	}
	plain := validate(ctx, wasm)
	if (plain == nil) != (refused == nil) {
		return fmt.Errorf("the engine says of the module as it came: %w; the pipeline: %w", cmp.Or(plain, errTakes), cmp.Or(refused, errTakes))
	}
	if out == nil {
		return nil
	}
	c, err := newCode(ctx, out, "", &wasmbin.Module{})
	if err != nil {
		return fmt.Errorf("the engine takes the module as it came, and not rewritten: %w", err)
	}
	return c.close()
}

var errTakes = errors.New("it is fine")

// prepare does to a module what the pipeline does before it compiles it.
func prepare(ctx context.Context, wasm []byte) ([]byte, error) {
	m, err := gate(wasm, maxMemory)
	if err != nil {
		return nil, err
	}
	code, err := gateCode(wasm, m)
	if err != nil {
		return nil, err
	}
	if err := validate(ctx, wasm); err != nil {
		return nil, err
	}
	return code.Rewrite()
}

// ownRule reports whether a module is refused by one of our own rules, which are
// stricter than the engine's.
func ownRule(err error) bool {
	return err != nil && slices.ContainsFunc([]string{
		"are off here", "do not run here", // a proposal
		"does not run here",                  // a type form
		"the limit is",                       // a bound
		"it imports", "it exports", "it has", // what task modules may not have
		"longer form than it takes",
	}, func(words string) bool { return strings.Contains(err.Error(), words) })
}

package compile

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// What was compiled where large modules are taken is refused elsewhere all the same.
func TestLargeIsNotCached(t *testing.T) {
	t.Parallel()
	wasm := cat(wasmHead, oneType, oneFunc, exportF, fnBody(noLocals, repeat("\x01", mostBody), return0))
	m, err := wasmtasks.Load("m", wasm)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBare(m, facts)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{CacheDir: t.TempDir()}
	for _, large := range []bool{true, false, true} {
		cfg.AllowLarge = large
		if _, err := newPipeline(t, cfg).rewrite(b); (err == nil) != large {
			t.Errorf("large ones allowed: %t: %v", large, err)
		}
	}
}

// Who runs the pool can raise bounds, which errors say, and all but not the last one.
func TestAllowLarge(t *testing.T) {
	t.Parallel()
	large := usual()
	large.AllowLarge = true
	body := func(n int) []byte {
		return cat(wasmHead, oneType, oneFunc, exportF, fnBody(noLocals, repeat("\x01", n), return0))
	}
	for _, tt := range []struct {
		name            string
		wasm            []byte
		usually, raised string // "" where it may run
	}{
		{"small", body(10), "", ""},
		{"long function", body(mostBody), "bytes in one function, the limit is 1048576: AllowLarge (--allow-large) of who runs the pool raises it to 16777216", ""},
		{"too long a function", body(largeBody), "bytes in one function, the limit is 1048576", "bytes in one function, the limit is 16777216"},
		{"many data segments", cat(wasmHead, oneMemory, sec(11, mostSegments+1, repeat("\x01\x00", mostSegments+1))), "data segments, the limit is 100000: AllowLarge (--allow-large) of who runs the pool raises it to 1000000", ""},
		{"two memories", cat(wasmHead, sec(5, 2, 0, 1, 0, 1)), "2 memories, the limit is 1", "2 memories, the limit is 1"},
	} {
		for rules, want := range map[*Rules]string{ptr(usual()): tt.usually, &large: tt.raised} {
			err := Check(tt.wasm, *rules)
			if err == nil && want == "" {
				continue
			}
			if err == nil || want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, large ones allowed: %t: %v, want %q", tt.name, rules.AllowLarge, err, want)
			} else if hint := strings.Contains(err.Error(), "--allow-large"); hint != (tt.raised == "") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
	wasm := make([]byte, 1<<20)
	few, many := childLimitFor(wasm, false), childLimitFor(wasm, true)
	if many.cpu != largeChild*few.cpu || many.memory != largeChild*few.memory {
		t.Errorf("compiling may take %+v, and with large ones %+v", few, many)
	}
	if text := few.exceeded(few.cpu, "s of CPU time").Error(); !strings.Contains(text, "raises it to 8 times as much") {
		t.Errorf("past the limit: %s", text)
	}
	if text := many.exceeded(many.cpu, "s of CPU time").Error(); strings.Contains(text, "raises") {
		t.Errorf("past the raised limit: %s", text)
	}
}

func ptr[T any](v T) *T { return &v }

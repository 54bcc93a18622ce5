package compile

import (
	"strings"
	"testing"
)

// A module that was built to run elsewhere is refused in a line that says what it is, and what to build.
func TestOrigins(t *testing.T) {
	t.Parallel()
	many := make([][]byte, 300)
	for i := range many {
		many[i] = imported("env", "invoke_v"+repeat("i", i), 0, 0)
	}
	for _, c := range []struct {
		name string
		wasm []byte
		want string
	}{
		{
			"Emscripten", importing(imported("env", "emscripten_resize_heap", 0, 0), imported("env", "memory", 2, 0, 1)),
			"built for JavaScript by Emscripten: build it with emcc -sSTANDALONE_WASM (or -o x.wasm alone), or with wasi-sdk (it imports a function and a memory of env)",
		},
		{"Emscripten, small", importing(imported("a", "a", 0, 0), imported("a", "b", 0, 0)), "by Emscripten"},
		{"Emscripten, very large", importing(many...), "it imports 300 functions of env"},
		{"wasm-bindgen", importing(imported("./report_bg.js", "__wbg_new", 0, 0)), "wasm-bindgen: build the crate for wasm32-wasip1"},
		{"wasm-bindgen, not bound", importing(imported("__wbindgen_placeholder__", "f", 0, 0)), "by wasm-bindgen"},
		{"Go", importing(imported("gojs", "runtime.wasmExit", 0, 0)), "GOOS=js): build it with GOOS=wasip1 GOARCH=wasm (it imports a function of gojs)"},
		{"Node-API", importing(imported("env", "napi_create_function", 0, 0), imported("env", "memory", 2, 3, 1, 1)), "Node.js"},
		{"threads", importing(imported("wasi", "thread-spawn", 0, 0)), "threads"},
		{"preview 0", importing(imported("wasi_unstable", "fd_write", 0, 0)), "preview 0 (wasi_unstable): build it with a newer wasi-sdk"},
		{"core of a component", importing(imported("wasi:cli/exit@0.2.0", "exit", 0, 0)), "the core of a component"},
		{"sockets", importing(imported("wasi_snapshot_preview1", "sock_open", 0, 0)), "no network: build it without; it imports the function wasi_snapshot_preview1.sock_open, which does not exist here"},
		{"side module", cat(importing(imported("env", "f", 0, 0)), sec(0, str("dylink.0"), "\x01\x00")), "side module"},
		{"host in JavaScript", importing(imported("rb-js-abi-host", "eval-js", 0, 0)), "a host in JavaScript"},
	} {
		err := Check(c.wasm, usual())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		} else if n := len(err.Error()); n > 500 {
			t.Errorf("%s: the error has %d bytes: %v", c.name, n, err)
		}
	}
}

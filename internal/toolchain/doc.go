// Package toolchain compiles sources in C, Rust, Zig and AssemblyScript to WebAssembly, by the compilers that this machine
// has. Go is not among them: package wasmtasks knows more of that.
//
// The compilers are run each time, and nothing is kept: what they read (headers, crates, configurations) is theirs
// to know, and Cargo and Zig keep what they have compiled themselves.
//
// # Reading the source
//
//   - toolchain.go: Find: what a folder or a file holds, and Compile
//   - language.go: the languages, and how to get their compilers
//   - run.go: running a compiler; MissingError and Failure
//   - clang.go, rust.go, zig.go, assemblyscript.go: one compiler each
package toolchain

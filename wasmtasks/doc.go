// Package wasmtasks holds task modules: it builds, loads, describes and
// identifies them, and finds tasks by name. It runs none; that is what
// workers do.
//
// A module is one wasm binary, known by the SHA-256 of its bytes. Its exports
// say which tasks it has, and how each is called: see [Kind].
//
//	m, err := wasmtasks.Build(ctx, "./tasks")       // sources in Go, C, Rust, Zig or AssemblyScript, built here and now
//	m, err := wasmtasks.LoadFile("stars.wasm")      // a binary from any language
//	m, err := wasmtasks.LoadFS(embedded, "a.wasm")  // one inside the program
//	m, err := wasmtasks.Open(ctx, path)             // whichever of the first two path is
//
//	for _, task := range m.Tasks() {
//		fmt.Println(task.Name, task.Kind, task.Doc)
//	}
//
// A task is known as "module.task", or "task" alone where only one module has
// it. A [Table] finds it.
//
// # Reading the source
//
//   - module.go: Module, Load and its kin
//   - task.go: Task, Kind: which exports are tasks, and how each is called
//   - commandline.go: the command line that a command brings along; script.go, driver.py, driver.js, driver.lua: functions of scripts
//   - table.go: Table: tasks by name, and errors for unknown and ambiguous names
//   - describe.go: Description: what inspect shows
//   - build.go: Build: sources to a module, and BuildError; package toolchain has the languages but for Go
//   - sources.go: the files of a Go package that decide what is built, and their hash
//   - buildcache.go: modules that were built, on disk
//   - taskdocs.go: docs and types of tasks, read from Go sources
package wasmtasks

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func (a *app) buildCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build SOURCE [-o F]",
		Short: "Compile a task package",
		Long: `Build compiles SOURCE to WebAssembly, and writes the module to F, which may be - for
standard output. SOURCE is a folder: a Go package, a Cargo package, or files in C, Zig or AssemblyScript;
or one file in C, Rust, Zig or AssemblyScript. The modules that run and map compile are the same.`,
		Example: `  wasmpool build examples/executor/tasks -o tasks.wasm
  wasmpool build examples/executor/tasks -o - | ssh node 'cat >tasks.wasm'
  wasmpool build stars.c`,
		Args: argCount(1, 1, ""),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `F` to write (default: the name of the folder or file, with .wasm)")
	cmd.RunE = a.onRoot(func(ctx context.Context, args []string) error { return a.build(ctx, args[0], out) })
	return cmd
}

// noteBuildCache says when modules are built each time, as others can write to the
// folder where they would be kept.
func (a *app) noteBuildCache() {
	var unsafe *cachedir.UnsafeError
	if dir := cachedir.Default("build"); dir != "" && errors.As(cachedir.Make(dir), &unsafe) {
		fmt.Fprintln(a.err, "wasmpool:", unsafe)
	}
}

func (a *app) build(ctx context.Context, dir, out string) error {
	if out == "-" && isTerminal(a.out) {
		return errors.New("-o - would write the module to the terminal: give a file, or send standard output somewhere")
	}
	a.noteBuildCache()
	m, err := wasmtasks.Build(ctx, dir)
	if err != nil {
		return err
	}
	if out == "" {
		out = m.Name() + ".wasm"
	}
	if out == "-" {
		out = "standard output"
		_, err = a.out.Write(m.Bytes())
	} else {
		err = writeWhole(out, m.Bytes())
	}
	if err != nil {
		return fmt.Errorf("writing the module: %w", err)
	}
	n := len(m.Tasks())
	fmt.Fprintf(a.err, "wasmpool: wrote %s (%s, %d %s)\n", out, formatBytes(uint64(len(m.Bytes()))), n, plural(n, "task"))
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// guest is the module that the start of a pool is measured with.
const guest = "internal/bench/guest.wasm"

// tools are the programs that are compared, built for this run.
type tools struct {
	dir    string
	mpirun []string
	python string
}

// build compiles the programs. It must run in the root of the source tree.
func build(ctx context.Context, s settings) (*tools, error) {
	if _, err := os.Stat(guest); err != nil {
		return nil, fmt.Errorf("start it in the root of wasmpool's source tree: %w", err)
	}
	dir, err := os.MkdirTemp("", "wasmpool-compare")
	if err != nil {
		return nil, err
	}
	t := &tools{dir: dir, mpirun: strings.Fields(s.mpirun), python: s.python}
	for _, command := range [][]string{
		{"go", "build", "-o", t.path("wasmpool"), "./cmd/wasmpool"},
		{"go", "build", "-tags", "mpi", "-o", t.path("wasmpool-mpi"), "./cmd/wasmpool"},
		{"mpicc", "-O2", "-o", t.path(floor), "bench/floor/echo.c"},
		{"cc", "-O2", "-o", t.path(futex), "bench/floor/futex.c"},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			t.remove()
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
	}
	return t, nil
}

func (t *tools) path(name string) string { return filepath.Join(t.dir, name) }

func (t *tools) remove() { os.RemoveAll(t.dir) } //nolint:errcheck // it is a temporary folder

// command returns the command line of a program.
func (t *tools) command(p program) []string {
	line := []string{t.path(p.tool)}
	switch {
	case strings.HasSuffix(p.tool, ".py"):
		line = []string{t.python, "bench/peers/" + p.tool}
	case p.tool == ours && p.ranks > 0:
		line = []string{t.path("wasmpool-mpi")}
	}
	if p.ranks > 0 {
		line = append(append(t.mpirun[:len(t.mpirun):len(t.mpirun)], "-n", strconv.Itoa(p.ranks)), line...)
	}
	return append(line, p.args...)
}

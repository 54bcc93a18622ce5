//go:build mpi

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/scripttest"
)

// A script needs only be where rank 0 is, and so its interpreter. Ranks give the bytes that one process gives, also of what
// depends on chance, the time and what ran before, with reset.
func (r ranks) testInterpreters(t *testing.T) {
	cache := "WASMPOOL_CACHE=" + scripttest.CacheDir()
	here, elsewhere := t.TempDir(), t.TempDir()
	var inputs strings.Builder
	for i := range 600 {
		fmt.Fprintf(&inputs, "{\"w\": %d, \"h\": 3}\n", i)
	}
	for name, text := range map[string]string{
		"in.jsonl": inputs.String(),
		"job.py":   "import random, time\nn = 0\ndef f(x):\n    global n\n    n += 1\n    return [x['w'] * x['h'], n, random.random(), time.time()]\n",
		"job.js":   "let n = 0; function f(x) { return [x.w * x.h, ++n, Math.random(), Date.now()] }",
		"job.lua":  "n = 0; function f(x) n = n + 1; return {x.w * x.h, n, math.random(), os.time()} end",
	} {
		if err := os.WriteFile(filepath.Join(here, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for script, interpreter := range map[string]string{"job.py": "python", "job.js": "qjs", "job.lua": "lua"} {
		if err := os.Link(scripttest.File(t, interpreter), filepath.Join(here, interpreter+".wasm")); err != nil {
			t.Fatal(err)
		}
		args := []string{"map", script, "f", "--jsonl", "in.jsonl", "--raw", "--isolation", "reset", "--interpreter", interpreter + ".wasm"}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		alone := exec.CommandContext(ctx, r.program, args...)
		alone.Dir, alone.Env = here, append(os.Environ(), cache)
		want := runCmd(t, alone)
		if n := strings.Count(want.stdout, "\n"); want.code != 0 || n != 600 {
			t.Fatalf("%s, alone: exit code %d and %d results: %s", script, want.code, n, want.stderr)
		}
		others := append([]string{":", "-n", "2", "--wdir", elsewhere, r.program}, args...)
		ranks := mpitest.CommandFlags(ctx, t, 1, []string{"--wdir", here}, r.program, append(args, others...)...)
		ranks.Env = append(ranks.Env, cache)
		got := runCmd(t, ranks)
		if got.code != 0 || got.stdout != want.stdout {
			t.Errorf("%s on 3 ranks: exit code %d, %d bytes that are those of one process: %t\n%s", script, got.code, len(got.stdout), got.stdout == want.stdout, got.stderr)
		}
	}
}

// A worker that is killed while its Python runs changes nothing of the results.
func (r ranks) testInterpreterKilled(t *testing.T) {
	dir := t.TempDir()
	var want strings.Builder
	for i := range 300 {
		fmt.Fprintf(&want, "%d\n", 2*i)
	}
	const script = "def f(x):\n    for _ in range(50_000): pass\n    return 2 * x\n"
	if err := os.WriteFile(filepath.Join(dir, "job.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	// Rank 2 is killed as soon as there is a result.
	const rank = `[ $OMPI_COMM_WORLD_RANK != 2 ] || (for i in $(seq 1000); do [ -s out.jsonl ] && kill -KILL $$ && exit; sleep 0.02; done) & exec "$@"`
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "launch", "-n", "3", "--", "sh", "-c", rank, "sh",
		r.program, "map", "job.py", "f", "--range", "0..299", "--out", "out.jsonl", "--interpreter", scripttest.File(t, "python"))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "WASMPOOL_CACHE="+scripttest.CacheDir())
	if got := runCmd(t, cmd); got.code != 0 || !strings.Contains(got.stderr, "signal: killed") {
		t.Errorf("exit code %d, want 0 and that a rank was killed: %s", got.code, got.stderr)
	}
	results := exec.CommandContext(ctx, r.program, "results", "out.jsonl", "--raw")
	results.Dir = dir
	if got := runCmd(t, results); got.code != 0 || got.stdout != want.String() {
		t.Errorf("exit code %d, results %q: %s", got.code, got.stdout, got.stderr)
	}
}

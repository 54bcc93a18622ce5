// Command wordcount counts the words of all files in a folder. Each file is a
// call of a task that runs in wasm.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func main() {
	var s settings
	flag.StringVar(&s.tasks, "tasks", "examples/wordcount/tasks", "folder of the task package")
	flag.StringVar(&s.folder, "dir", "", "folder to read (default the Go toolchain's source tree)")
	flag.StringVar(&s.pattern, "pattern", "*.go", "names of the files to read")
	flag.BoolVar(&s.check, "check", false, "count once more, in another way, and fail if the results differ")
	flag.Parse()
	err := executor.Run(context.Background(), executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
		return root(ctx, ex, s, os.Stdout)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(executor.ExitCode(err))
	}
}

// settings are what the command line says.
type settings struct {
	tasks, folder, pattern string
	check                  bool
}

// root is called on rank 0 only; the other ranks count meanwhile.
func root(ctx context.Context, ex *executor.Executor, s settings, out io.Writer) error {
	tasks, err := wasmtasks.Build(ctx, s.tasks)
	if err != nil {
		return err
	}
	if err := ex.Load(tasks); err != nil {
		return err
	}
	if s.folder == "" {
		if s.folder, err = goTree(ctx); err != nil {
			return err
		}
	}
	paths, err := list(s.folder, s.pattern)
	if err != nil {
		return err
	}

	// The files are read, counted and merged side by side.
	start := time.Now()
	var unread error
	t, err := merge(ex.Map(ctx, "count", contents(paths, &unread)))
	if err == nil {
		err = unread
	}
	if err != nil {
		return err
	}
	t.print(out, time.Since(start).Seconds())
	if err := report(ctx, ex, out); err != nil || !s.check {
		return err
	}
	return check(t, paths, out)
}

// check compares a total with an independent count of the same files.
func check(t total, paths []string, out io.Writer) error {
	var unread error
	want := countHere(contents(paths, &unread))
	if unread != nil {
		return unread
	}
	if err := compare(t, want); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "checked: an independent count gives the same")
	return err
}

// report prints which worker ran how many calls.
func report(ctx context.Context, ex *executor.Executor, out io.Writer) error {
	stats, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	for _, w := range stats.Workers {
		fmt.Fprintf(out, "rank %d: %d calls (slots: %d)\n", w.Rank, w.Calls, w.Slots)
	}
	return nil
}

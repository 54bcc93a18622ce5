package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/memo"
)

func (a *app) memoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "memo stats|verify|export|gc DIR",
		Short: "Look at the results that --memo has kept, check them, remove some",
		Long: `memo looks after the folder of --memo, in which run and map keep results. Others may use the
folder meanwhile, but not while gc does.`,
		Example: `  wasmpool memo stats results
  wasmpool memo verify results
  wasmpool memo export results --task square >squares.jsonl
  wasmpool memo gc results --max-size 10GiB --older-than 720h`,
		Args: noSuchMemoCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.memoStats(), a.memoVerify(), a.memoExport(), a.memoGC())
	return cmd
}

func noSuchMemoCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("no command memo %q (commands: stats, verify, export, gc)", args[0])
	}
	return nil
}

// folderCommand is a command that looks at a folder.
func (a *app) folderCommand(cmd *cobra.Command, look func(context.Context, *memo.Folder) error) *cobra.Command {
	cmd.Args = argCount(1, 1, "")
	cmd.RunE = a.onRoot(func(ctx context.Context, args []string) error {
		f, err := memo.Read(args[0])
		if err != nil {
			return err
		}
		return errors.Join(look(ctx, f), f.Close())
	})
	return cmd
}

// A memoTally is what there is of one task.
type memoTally struct {
	Task    string    `json:"task"`
	Entries int64     `json:"entries"`
	Bytes   int64     `json:"bytes"` // of results
	First   time.Time `json:"first"` // kept
	Last    time.Time `json:"last"`
	// Settings are how many combinations of limits, initializers and versions there are.
	Settings int `json:"settings"`
	settings map[string]struct{}
}

// A memoState is what there is in a folder.
type memoState struct {
	Entries int          `json:"entries"`
	Bytes   int64        `json:"bytes"`   // of the folder
	Damaged int          `json:"damaged"` // parts of files
	Tasks   []*memoTally `json:"tasks"`
}

func (a *app) memoStats() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "stats DIR [--json]",
		Short:   "Show how many results of which tasks there are",
		Example: "  wasmpool memo stats results",
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return a.folderCommand(cmd, func(_ context.Context, f *memo.Folder) error {
		s, err := stateOf(f)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(a.out).Encode(s)
		}
		return s.show(a.out)
	})
}

// stateOf counts what there is in a folder.
func stateOf(f *memo.Folder) (s memoState, err error) {
	s.Entries, s.Damaged = f.Len(), len(f.Damage)
	if s.Bytes, err = f.Size(); err != nil {
		return s, err
	}
	tasks := map[string]*memoTally{}
	for e, err := range f.All(false) {
		if err != nil {
			return s, err
		}
		t := tasks[e.Task]
		if t == nil {
			t = &memoTally{Task: e.Task, First: e.Kept, settings: map[string]struct{}{}}
			tasks[e.Task] = t
		}
		t.Entries++
		t.Bytes += e.Size
		t.Last = e.Kept
		t.settings[string(e.Settings)] = struct{}{}
	}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		t := tasks[name]
		t.Settings = len(t.settings)
		s.Tasks = append(s.Tasks, t)
	}
	return s, nil
}

// show writes it for people.
func (s *memoState) show(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%d %s, %s\n", s.Entries, plural(s.Entries, "result"), formatBytes(uint64(s.Bytes)))
	for _, t := range s.Tasks {
		name := t.Task
		if name == "" {
			name = "of a task whose name is damaged"
		}
		fmt.Fprintf(w, "%s: %d, %s, kept from %s to %s", plain.Line(name), t.Entries, formatBytes(uint64(t.Bytes)), t.First.Format(time.DateTime), t.Last.Format(time.DateTime))
		if t.Settings > 1 {
			fmt.Fprintf(w, ", with %d settings", t.Settings)
		}
		fmt.Fprintln(w)
	}
	if s.Damaged > 0 {
		fmt.Fprintf(w, "%d damaged %s (wasmpool memo verify shows where, memo gc removes them)\n", s.Damaged, plural(s.Damaged, "part"))
	}
	return w.Flush()
}

func (a *app) memoVerify() *cobra.Command {
	return a.folderCommand(&cobra.Command{
		Use:   "verify DIR",
		Short: "Check all results, and show what is damaged",
		Long: `verify reads all there is and checks it. Exit code 1 says that something is damaged: the calls that it belongs to
run again, and gc removes it. Whether a call gives what is kept is looked at by --verify-memo of run and map.`,
		Example: "  wasmpool memo verify results",
	}, func(ctx context.Context, f *memo.Folder) error {
		damaged, err := f.Damaged(ctx)
		for _, d := range damaged {
			fmt.Fprintln(a.err, "wasmpool: damaged:", plain.Line(d))
		}
		switch {
		case err != nil:
			return err
		case len(damaged) > 0:
			return &exitError{exitCallFailed, fmt.Errorf("%d damaged %s: their calls run again (wasmpool memo gc removes them)", len(damaged), plural(len(damaged), "part"))}
		}
		_, err = fmt.Fprintf(a.out, "%d %s, all whole\n", f.Len(), plural(f.Len(), "result"))
		return err
	})
}

func (a *app) memoExport() *cobra.Command {
	task := ""
	cmd := &cobra.Command{
		Use:   "export DIR [--task NAME]",
		Short: "Write the results as lines of JSON",
		Long: `export writes a line of JSON for each result, in the order in which they were kept:

  {"of":"square@9f86d081884c","arg":"3973e022e93220f9","key":"…","kept":"…","settings":{…},"out":…}

"of", "arg" and "out" or "out_b64" are as in the lines of map, by which a result can be found: "arg" is the beginning of the argument's SHA-256.`,
		Example: "  wasmpool memo export results --task square >squares.jsonl",
	}
	cmd.Flags().StringVar(&task, "task", "", "only those of the task `NAME`, or NAME@ and the beginning of the module's SHA-256")
	return a.folderCommand(cmd, func(ctx context.Context, f *memo.Folder) error {
		w := bufio.NewWriter(a.out)
		lost := 0
		for e, err := range f.All(true) {
			switch {
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case !isOf(e.Task, task):
				continue
			case e.Err != nil:
				lost++
				continue
			}
			if _, err := w.Write(appendEntry(w.AvailableBuffer(), e)); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if lost > 0 {
			return &exitError{exitCallFailed, fmt.Errorf("%d damaged %s left out", lost, plural(lost, "result"))}
		}
		return nil
	})
}

// isOf reports whether a task, as entries have it, is the one of a flag.
func isOf(task, flag string) bool {
	name, _ := cutOf(task)
	return flag == "" || flag == task || flag == name
}

// appendEntry appends the line of an entry.
func appendEntry(dst []byte, e *memo.Entry) []byte {
	start := len(dst)
	dst = appendText(append(dst, `{"of":`...), e.Task)
	dst = fmt.Appendf(dst, `,"arg":"%016x","key":"%x","kept":"%s"`, e.Argument, e.Key, e.Kept.UTC().Format(time.RFC3339))
	if json.Valid(e.Settings) {
		dst = append(append(dst, `,"settings":`...), e.Settings...)
	}
	return endLine(appendOut(dst, e.Result), start, "}\n")
}

func (a *app) memoGC() *cobra.Command {
	var most byteSize
	var older time.Duration
	var task string
	cmd := &cobra.Command{
		Use:   "gc DIR [--max-size SIZE] [--older-than D] [--task NAME]",
		Short: "Remove what is damaged, and results that are not wanted any more",
		Long: `gc removes what is damaged or of no use, and with flags results: those that were kept first until the folder is
no larger than SIZE, those that were kept longer ago than D, those of a task. Nobody can write to the folder meanwhile.`,
		Example: `  wasmpool memo gc results --max-size 10GiB
  wasmpool memo gc results --task square@9f86d081884c`,
		Args: argCount(1, 1, ""),
		RunE: a.onRoot(func(_ context.Context, args []string) error {
			keep := memo.Keep{MaxBytes: int64(most)}
			if older > 0 {
				keep.Since = time.Now().Add(-older)
			}
			if task != "" {
				keep.Only = func(e memo.Entry) bool { return !isOf(e.Task, task) }
			}
			removed, err := memo.GC(args[0], keep)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%d %s removed, %s freed\n", removed.Entries, plural(removed.Entries, "result"), formatBytes(uint64(max(removed.Bytes, 0))))
			return err
		}),
	}
	cmd.Flags().Var(&most, "max-size", "leave those that were kept last, up to `SIZE`")
	cmd.Flags().DurationVar(&older, "older-than", 0, "remove those that were kept longer ago than `D`, such as 720h")
	cmd.Flags().StringVar(&task, "task", "", "remove those of the task `NAME`, or NAME@ and the beginning of the module's SHA-256")
	return cmd
}

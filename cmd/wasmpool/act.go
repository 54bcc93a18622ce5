package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/monitor"
)

func (a *app) killCommand() *cobra.Command {
	var k monitor.Kill
	cmd := &cobra.Command{
		Use:   "kill JOB [--call N | --task T | --tag G]",
		Short: "Kill calls of a job that runs here, or all of it",
		Long: `Kill ends calls of a job that wasmpool status lists: one call, by the number that status
shows, all calls of a task, or all that have a tag. They fail with the kind "killed", and the
job goes on.

Without a flag it ends the job: no call is begun any more, and those that run are killed. What
is done is written, and the job's exit code is that after an interrupt, 130.`,
		Example: `  wasmpool kill 4711 --call 17
  wasmpool kill 4711`,
		Args: argCount(1, 1, ""),
	}
	flags := cmd.Flags()
	flags.Uint64Var(&k.Call, "call", 0, "kill call `N`")
	flags.StringVar(&k.Task, "task", "", "kill all calls of `TASK`")
	flags.StringVar(&k.Tag, "tag", "", "kill all calls that have the tag `WORD`")
	cmd.RunE = a.onRoot(func(ctx context.Context, args []string) error {
		given := 0
		for _, name := range []string{"call", "task", "tag"} {
			if f := flags.Lookup(name); f.Changed {
				given++
				if f.Value.String() == "" || f.Value.String() == "0" {
					return fmt.Errorf("--%s is %q, which names no call", name, f.Value)
				}
			}
		}
		if given > 1 {
			return errors.New("--call, --task and --tag exclude each other: give one")
		}
		j, err := findJob(ctx, args[0])
		if err != nil {
			return err
		}
		k.Reason = "killed by wasmpool kill"
		return a.kill(ctx, j, k, given == 0)
	})
	return cmd
}

// kill kills calls of a job, or ends all of it.
func (a *app) kill(ctx context.Context, j runningJob, k monitor.Kill, all bool) error {
	var killed monitor.Killed
	if all {
		if err := j.ask(ctx, "end", monitor.Drain{Reason: k.Reason}, &killed); err != nil {
			return err
		}
		fmt.Fprintf(a.err, "wasmpool: job %s ends; %d %s killed\n", j.Name, killed.Killed, wereCalls(killed.Killed))
		return nil
	}
	if err := j.ask(ctx, "kill", k, &killed); err != nil {
		return err
	}
	if killed.Killed == 0 {
		return &exitError{exitCallFailed, fmt.Errorf("job %s has no such call that has not ended", j.Name)}
	}
	fmt.Fprintf(a.err, "wasmpool: %d %s killed\n", killed.Killed, wereCalls(killed.Killed))
	return nil
}

func wereCalls(n int) string {
	if n == 1 {
		return "call was"
	}
	return "calls were"
}

func (a *app) drainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drain JOB",
		Short: "Let a job that runs here come to its end early",
		Long: `Drain has a job that wasmpool status lists begin no call any more. Calls that run come to
their end, however long that takes, and results are written. The job's exit code is that after
an interrupt, 130; map --resume goes on with the rest.`,
		Example: `  wasmpool drain 4711`,
		Args:    argCount(1, 1, ""),
		RunE: a.onRoot(func(ctx context.Context, args []string) error {
			j, err := findJob(ctx, args[0])
			if err != nil {
				return err
			}
			if err := j.drain(ctx); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "wasmpool: job %s begins no call any more\n", j.Name)
			return nil
		}),
	}
}

// drain has a job begin no call any more.
func (j runningJob) drain(ctx context.Context) error {
	var done struct{}
	return j.ask(ctx, "drain", monitor.Drain{Reason: "drained by wasmpool drain"}, &done)
}

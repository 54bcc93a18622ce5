package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/monitor"
)

// statusFlags are the flags of status.
type statusFlags struct {
	once bool
	json bool
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [JOB] [--once | --json]",
		Short: "Show the jobs that run here, or one of them live",
		Long: `Status lists your jobs that run on this host: those of run and map whose
rank 0 is here, and programs that have a socket for it (package monitor).
JOB is the name that the list has, which is the process id of rank 0.

With JOB it shows on a terminal how that job stands, anew each second: how far it is, how
busy the slots are, tasks, workers, the calls that run longest, and failures. The keys:

  q               quit; the job goes on
  down, up, j, k  choose a running call
  K               kill that call
  D               drain the job: as wasmpool drain

Elsewhere, and with --once, it prints that once. With --json it prints the state of JOB as
JSON, or without JOB a line of JSON for each job.`,
		Example: `  wasmpool status
  wasmpool status 4711
  wasmpool status 4711 --json`,
		Args: argCount(0, 1, ""),
		RunE: a.onRoot(func(ctx context.Context, args []string) error {
			if f.once && f.json {
				return errors.New("--json prints the state once: leave --once out")
			}
			if len(args) == 0 {
				return a.printJobs(ctx, f.json)
			}
			j, err := findJob(ctx, args[0])
			if err != nil {
				return err
			}
			return a.showJob(ctx, j, f)
		}),
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "print it once, also on a terminal")
	cmd.Flags().BoolVar(&f.json, "json", false, "print it as JSON")
	return cmd
}

// A jobLine is what status --json prints of a job.
type jobLine struct {
	Job string `json:"job"`
	jobsocket.Note
	Progress *monitor.Brief `json:"progress,omitempty"`
}

// printJobs lists the jobs.
func (a *app) printJobs(ctx context.Context, asJSON bool) error {
	list, err := listJobs(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	shown := 0
	for _, j := range list {
		var p monitor.Brief
		err := j.ask(ctx, "brief", nil, &p)
		switch {
		case errors.Is(err, errGone):
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case asJSON:
			line := jobLine{Job: j.Name, Note: j.Note, Progress: &p}
			if err != nil {
				line.Progress = nil
			}
			if err := a.printJSON(line); err != nil {
				return err
			}
			continue
		}
		if shown++; shown == 1 {
			row(w, "JOB", "FOR", "DONE", "FAILED", "COMMAND")
		}
		done, failed := "?", "?" // it does not answer
		if err == nil {
			done, failed = doneOf(p), strconv.FormatInt(p.Failed, 10)
		}
		row(w, j.Name, age(j.Started), done, failed, commandLine(j.Command))
	}
	if shown == 0 && !asJSON {
		fmt.Fprintln(a.err, "wasmpool: no job of yours runs on this host")
	}
	return w.Flush()
}

// printJSON prints a line of JSON.
func (a *app) printJSON(value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		_, err = a.out.Write(append(plain.AppendJSON(nil, text), '\n'))
	}
	return err
}

// doneOf says how many inputs are done.
func doneOf(p monitor.Brief) string {
	if p.Total == nil {
		return strconv.FormatInt(p.Done, 10)
	}
	return fmt.Sprintf("%d of %d", p.Done, *p.Total)
}

// showJob shows a job.
func (a *app) showJob(ctx context.Context, j runningJob, f statusFlags) error {
	if f.json {
		var state json.RawMessage
		if err := j.ask(ctx, "state", nil, &state); err != nil {
			return err
		}
		return a.printJSON(state)
	}
	if !f.once && isTerminal(a.in) && isTerminal(a.out) {
		return a.watchJob(ctx, j)
	}
	s, err := j.state(ctx)
	if err != nil {
		return err
	}
	for _, line := range (&top{job: j, state: s}).lines(0, 0) {
		if _, err := io.WriteString(a.out, line.text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

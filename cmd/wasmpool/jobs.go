package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/monitor"
)

// A runningJob is a job of this user on this host, which can be talked to.
type runningJob struct {
	jobsocket.Job
	client *http.Client
}

// listJobs returns the user's jobs on this host, the oldest first.
func listJobs(ctx context.Context) ([]runningJob, error) {
	found, err := jobsocket.List(ctx)
	if err != nil {
		return nil, err
	}
	var list []runningJob
	for _, j := range found {
		list = append(list, runningJob{j, &http.Client{
			Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return j.Dial(ctx) }},
			Timeout:   monitor.TalkTimeout,
		}})
	}
	return list, nil
}

// findJob returns the job that a user has named.
func findJob(ctx context.Context, name string) (runningJob, error) {
	list, err := listJobs(ctx)
	if err != nil {
		return runningJob{}, err
	}
	var names []string
	for _, j := range list {
		if j.Name == name {
			return j, nil
		}
		names = append(names, j.Name)
	}
	switch {
	case len(names) == 0:
		return runningJob{}, fmt.Errorf("no job %q: none of yours runs on this host (a job is on the host of its rank 0)", name)
	default:
		return runningJob{}, fmt.Errorf("no job %q of yours runs on this host: running are %s", name, strings.Join(names, ", "))
	}
}

// errGone is the error of a job that has ended while it was talked to.
var errGone = errors.New("it has ended")

// mostAnswer is how long the answer of a job may be.
const mostAnswer = 64 << 20

// ask sends a request to a job, and reads its answer. A question is nil for what is only read.
func (j runningJob) ask(ctx context.Context, path string, question, answer any) error {
	method, body := http.MethodGet, []byte(nil)
	if question != nil {
		var err error
		if body, err = json.Marshal(question); err != nil {
			return err
		}
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := j.client.Do(r)
	var late net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("job %s: no answer within %v: is its process stopped?", j.Name, monitor.TalkTimeout)
	case err != nil:
		return fmt.Errorf("job %s: %w", j.Name, errGone)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, mostAnswer))
	switch {
	case err != nil, reply.StatusCode == http.StatusGone:
		return fmt.Errorf("job %s: %w", j.Name, errGone)
	case reply.StatusCode != http.StatusOK:
		return fmt.Errorf("job %s: %s", j.Name, strings.TrimSpace(string(text)))
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("job %s: its answer is of another version of wasmpool: %w", j.Name, err)
	}
	return nil
}

// state asks a job how it is.
func (j runningJob) state(ctx context.Context) (*monitor.State, error) {
	s := new(monitor.State)
	if err := j.ask(ctx, "state", nil, s); err != nil {
		return nil, err
	}
	if s.Version != monitor.StateVersion {
		return nil, fmt.Errorf("job %s is of another version of wasmpool: take the program that it runs", j.Name)
	}
	return s, nil
}

// commandLine returns a command line as a shell would take it, on one line.
func commandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = plain.Line(w)
	}
	return strings.Join(quoted, " ")
}

// age returns for how long a job runs.
func age(since time.Time) string { return span(max(time.Since(since), 0).Seconds()) }

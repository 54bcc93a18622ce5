//go:build unix

package jobsocket_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
)

// here has jobs be in a folder of the test's own, whose path it returns.
func here(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(jobsocket.Env, "")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("TMPDIR", filepath.Join(dir, "nosuch"))
	return filepath.Join(dir, "wasmpool")
}

func note(t *testing.T, command string) jobsocket.Note {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return jobsocket.Note{PID: os.Getpid(), Host: host, Started: time.Now(), Command: []string{command}}
}

// listed returns the commands of the jobs that are listed and are in dir: others may run on this machine.
func listed(t *testing.T) string {
	t.Helper()
	list, err := jobsocket.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, j := range list {
		if j.PID == os.Getpid() {
			words = append(words, strings.Join(j.Command, " "))
		}
	}
	return strings.Join(words, ",")
}

// TestJobs has a process with two jobs, which others find and talk to.
func TestJobs(t *testing.T) {
	dir := here(t)
	if got := listed(t); got != "" {
		t.Errorf("before the first job there is %s", got)
	}
	one, err := jobsocket.Listen(note(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := jobsocket.Listen(note(t, "two"))
	if err != nil || two.Name() != one.Name()+".2" {
		t.Fatalf("the second job is %v, %v", two, err)
	}
	if got := listed(t); got != "one,two" {
		t.Errorf("the jobs are %s", got)
	}
	go func() {
		for {
			conn, err := two.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "hello") //nolint:errcheck // who only looks hangs up
			conn.Close()
		}
	}()
	list, err := jobsocket.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		if j.Name == two.Name() {
			conn, err := j.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(conn); string(text) != "hello" {
				t.Errorf("the job says %q, %v", text, err)
			}
		}
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if got := listed(t); got != "two" {
		t.Errorf("after the first has ended the jobs are %s", got)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("the last job has left its folder: %v", err)
	}
}

// TestKilled checks that what a killed job has left is removed, and what another host's has, not.
func TestKilled(t *testing.T) {
	dir := here(t)
	s, err := jobsocket.Listen(note(t, "killed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listener.Close(); err != nil { // as the system does it
		t.Fatal(err)
	}
	other := filepath.Join(dir, "1.json")
	if err := os.WriteFile(other, []byte(`{"host":"elsewhere"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", filepath.Join(dir, "1.sock")); err != nil {
		t.Fatal(err)
	} else {
		defer l.Close()
	}
	if got := listed(t); got != "" {
		t.Errorf("a killed job is listed: %s", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, s.Name()+".sock")); !os.IsNotExist(err) {
		t.Errorf("its socket is there: %v", err)
	}
	if _, err := os.Lstat(other); err != nil {
		t.Errorf("the note of another host's job is gone: %v", err)
	}
}

// TestFolder checks that a folder that others may enter is not used.
func TestFolder(t *testing.T) {
	dir := here(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(jobsocket.Env, dir) // a job in /tmp, of whoever works here too, would be the answer
	if _, err := jobsocket.List(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 700 "+dir) {
		t.Errorf("listing says %v", err)
	}
	t.Setenv(jobsocket.Env, "")
	s, err := jobsocket.Listen(note(t, "job"))
	if err == nil { // it is in /tmp
		defer s.Close()
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

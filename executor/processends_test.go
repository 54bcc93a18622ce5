package executor

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// A job's folder tells how the process of a lost worker ended: the log does, once, also where
// the pool ends right after.
func TestProcessEnds(t *testing.T) {
	for _, c := range []struct {
		name, note, want string
		early            bool // the note is there when the worker is lost
	}{
		{"killed", "137", `status="exit status 137 (signal: killed)"`, true},
		{"crashed", "139", `status="exit status 139 (signal: segmentation fault)"`, false},
		{"exited", "2", `status="exit status 2"`, true},
		{"spoilt note", "soon", "", true},
		{"no note", "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv(jobdir.DirVar, dir)
			note := func() {
				if c.note != "" {
					if err := os.WriteFile(filepath.Join(dir, "exit.7"), []byte(c.note+"\n"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			var text bytes.Buffer
			ends := processEnds{request: func(func(*slog.Logger)) {}}
			log := slog.New(slog.NewTextHandler(&text, nil))
			if c.early {
				note()
			}
			w := dispatcher.Lost{Rank: 3, LaunchRank: 7, Host: "node", PID: 4711}
			ends.watch(w)
			note()
			ends.end(log)
			ends.end(log)
			if got, want := strings.Count(text.String(), "has ended"), min(len(c.want), 1); got != want {
				t.Fatalf("it says so %d times, want %d: %s", got, want, &text)
			}
			if where := fmt.Sprintf("rank=%d host=%s process=%d", w.Rank, w.Host, w.PID); c.want != "" && !strings.Contains(text.String(), where+" "+c.want) {
				t.Errorf("want %s %s: %s", where, c.want, &text)
			}
		})
	}
}

// The shell of an overloaded node writes its note late: it is waited for while the pool goes
// on, and at its end for some seconds where it surely comes.
func TestProcessEndsLate(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host   string
		note, end    time.Duration // after the loss
		said, waited int
	}{
		{"pool goes on", "elsewhere", 4 * time.Second, time.Minute, 1, 0},
		{"pool ends", host, 4 * time.Second, time.Second, 1, 3},
		{"pool of two hosts ends", "elsewhere", 4 * time.Second, time.Second, 0, 0},
		{"never", host, time.Hour, time.Second, 0, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv(jobdir.DirVar, dir)
			synctest.Test(t, func(t *testing.T) {
				var text bytes.Buffer
				log := slog.New(slog.NewTextHandler(&text, nil))
				requests := make(chan func(*slog.Logger), 8)
				ends := processEnds{request: func(say func(*slog.Logger)) { requests <- say }}
				ends.watch(dispatcher.Lost{Rank: 3, LaunchRank: 7, Host: c.host, PID: 4711})
				shell := time.AfterFunc(c.note, func() {
					if err := os.WriteFile(filepath.Join(dir, "exit.7"), []byte("137\n"), 0o600); err != nil {
						t.Error(err)
					}
				})
				defer shell.Stop()
				for end := time.After(c.end); end != nil; {
					select {
					case say := <-requests:
						say(log)
					case <-end:
						end = nil
					}
				}
				start := time.Now()
				ends.end(log)
				if waited := int(time.Since(start).Seconds()); waited != c.waited {
					t.Errorf("the end of the pool took %d s, want %d", waited, c.waited)
				}
				if got := strings.Count(text.String(), "signal: killed"); got != c.said {
					t.Errorf("it says so %d times, want %d: %s", got, c.said, &text)
				}
			})
		})
	}
}

// Without a job's folder nothing is waited for.
func TestProcessEndsAlone(t *testing.T) {
	t.Setenv(jobdir.DirVar, "")
	var ends processEnds
	ends.watch(dispatcher.Lost{Rank: 1})
	if len(ends.timers) > 0 {
		t.Error("the end of a process is waited for that nobody notes")
	}
	ends.end(slog.New(slog.DiscardHandler))
}

package executor

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			ends := processEnds{request: func(func(*dispatcher.Loop)) {}}
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

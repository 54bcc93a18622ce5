package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func TestGrants(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "limits", limitsWAT)
	h := newHost(t, Config{Grants: map[string]Grants{"limits": {
		Env: map[string]string{"B": "2", "A": "1"}, Clock: true, Random: true, Output: true,
	}}})
	mod, none := load(t, h, m), load(t, h, m.WithName("other"))
	slot := newSlot(t, h)
	results := func(mod *Module, task string) (string, string) {
		one := run(t, slot, taskOf(t, mod, task), "")
		time.Sleep(time.Millisecond)
		return one, run(t, slot, taskOf(t, mod, task), "")
	}
	for _, task := range []string{"clock", "random"} {
		if one, two := results(mod, task); one == two {
			t.Errorf("%s was granted and always gives %q", task, one)
		}
		if one, two := results(none, task); one != two {
			t.Errorf("%s was not granted and gives %q, then %q", task, one, two)
		}
	}
	if got := run(t, slot, taskOf(t, mod, "env"), ""); got != "A=1\x00B=2\x00" {
		t.Errorf("the environment is %q", got)
	}
	if got := run(t, slot, taskOf(t, none, "env"), ""); got != "" {
		t.Errorf("the environment is %q, though none was granted", got)
	}
	var lines []string
	c := Call{Number: 1, Log: func(level int, line string) { lines = append(lines, fmt.Sprint(level, " ", line)) }}
	for _, mod := range []*Module{mod, none} {
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "print_once"), &c); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[0 sixteen letters]"; fmt.Sprint(lines) != want {
		t.Errorf("logged %v, want %v", lines, want)
	}
	bad := newHost(t, Config{Grants: map[string]Grants{"limits": {Folders: map[string]string{"/data": filepath.Join(t.TempDir(), "none")}}}})
	if _, err := bad.Load(t.Context(), m); err == nil || !strings.Contains(err.Error(), "/data") {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// A guest reads the folder it was granted, and nothing else: links do not lead
// out of it, and it cannot write.
func TestGrantedFolder(t *testing.T) {
	t.Parallel()
	out, in := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{filepath.Join(out, "secret"): "secret", filepath.Join(in, "open"): "open"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"absolute": filepath.Join(out, "secret"), "relative": "../" + filepath.Base(out) + "/secret", "folder": out} {
		if err := os.Symlink(to, filepath.Join(in, link)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, Config{Grants: map[string]Grants{"guest": {Folders: map[string]string{"/data": in}}}})
	slot := newSlot(t, h)
	m := guesttest.Build(t, "testdata/guest")
	mod, none := load(t, h, m.WithName("guest")), load(t, h, m.WithName("other"))
	if got := run(t, slot, taskOf(t, mod, "read_file"), "/data/open"); got != "open" {
		t.Errorf("read %q", got)
	}
	for _, path := range []string{"/data/absolute", "/data/relative", "/data/folder/secret", "/data/../../etc/passwd", "/etc/passwd", "/data/none"} {
		if e := runFailing(t, slot, taskOf(t, mod, "read_file"), path); e.Kind != KindApplication {
			t.Errorf("%s: %v", path, e)
		}
	}
	for range 2 { // what is closed can be opened again
		if got := run(t, slot, taskOf(t, mod, "open_files"), "/data/open"); got != fmt.Sprint(mostFiles-1) { // the folder is one
			t.Errorf("%s files were open at once, want %d", got, mostFiles-1)
		}
	}
	h.mostFiles = h.files.Load() + 10
	if got := run(t, slot, taskOf(t, mod, "open_files"), "/data/open"); got != "10" {
		t.Errorf("%s files were open at once, want 10 as the process can spare no more", got)
	}
	if e := runFailing(t, slot, taskOf(t, mod, "write_file"), "/data/new"); e.Kind != KindApplication {
		t.Errorf("writing: %v", e)
	}
	if e := runFailing(t, slot, taskOf(t, none, "read_file"), "/data/open"); e.Kind != KindApplication {
		t.Errorf("without a grant: %v", e)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wasmpool/wasmpool/internal/transport/mpi"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wasmpool": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, scripts(t))
}

// Scaffolds in languages whose compilers make languages fetches are tested, compiled and run.
func TestLanguages(t *testing.T) {
	t.Parallel()
	if os.Getenv(languagesVar) == "" {
		t.Skip("this is for make languages, which fetches compilers")
	}
	files, err := doublestar.FilepathGlob("testdata/languages/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	runScripts(t, files)
}

// Modules that nobody here wrote, which make modules fetches, run or are refused as docs/limits.md says.
func TestModules(t *testing.T) {
	t.Parallel()
	if os.Getenv(modulesVar) == "" {
		t.Skip("this is for make modules, which fetches modules")
	}
	runScripts(t, []string{"testdata/modules/modules.txtar"})
}

// modulesVar names the folder of those modules.
const modulesVar = "WASMPOOL_TEST_MODULES"

// languagesVar is set when the compilers of all languages are there.
const languagesVar = "WASMPOOL_TEST_LANGUAGES"

// runScripts runs scripts, which find some task modules.
func runScripts(t *testing.T, files []string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tasks := filepath.Join(t.TempDir(), "tasks.wasm") // built once
	var stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: io.Discard, err: &stderr}
	if code := a.execute(t.Context(), []string{"build", "testdata/tasks", "-o", tasks}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	cache := t.TempDir() // one for all scripts: they use the same modules
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("SOURCE", filepath.Join(root, "cmd/wasmpool/testdata/tasks"))
			env.Setenv("TASKS", tasks)
			env.Setenv("TESTDATA", filepath.Join(root, "cmd/wasmpool/testdata"))
			env.Setenv("WASMPOOL_CACHE", cache)
			env.Setenv("MODULES", os.Getenv(modulesVar))
			bin, _, _ := strings.Cut(env.Getenv("PATH"), string(os.PathListSeparator))
			env.Setenv("BIN", bin)       // where only the command is
			env.Setenv("GOPROXY", "off") // everything must work without a network
			env.Setenv("GOFLAGS", "-buildvcs=false")
			if os.Getenv(languagesVar) != "" {
				env.Setenv("HOME", os.Getenv("HOME")) // where compilers keep their caches
			}
			return goFolders(env)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"fails":    fails,
			"holds":    holds,
			"same":     same,
			"silent":   silent,
			"truncate": truncate,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "mpi":
				return mpi.Built, nil
			case "mounts": // whether this user may mount a disk of its own
				return exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/tmp").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		RequireExplicitExec: true,
	})
}

// scripts are all, but for those that the race detector would slow down in vain: it has those
// about what several goroutines do at once.
func scripts(t *testing.T) []string {
	t.Helper()
	pattern := "*"
	if unittest.Race {
		pattern = "{live,map,maxfails,retries,run,then}"
	}
	files, err := doublestar.FilepathGlob("testdata/script/" + pattern + ".txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	return files
}

// goFolders lets the go command of scripts use its folders of this machine.
func goFolders(env *testscript.Env) error {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return err
		}
		env.Setenv(name, strings.TrimSpace(string(out)))
	}
	return nil
}

// exits runs a program and checks its exit code:
//
//	exits 1 wasmpool run …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		ts.Fatalf("%v", err)
	}
	got := 0
	if failed != nil {
		got = failed.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fails is exits for errors: nothing goes to standard output, and one line, by
// the command, to standard error.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, args)
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout is %q, want nothing", out)
	}
	text := withoutReports(ts.ReadFile("stderr"))
	if !strings.HasPrefix(text, "wasmpool: ") || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("stderr is %q, want one line by wasmpool", text)
	}
}

// silent checks that the last program said nothing on standard error.
func silent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: silent")
	}
	if text := withoutReports(ts.ReadFile("stderr")); text != "" {
		ts.Fatalf("stderr is %q, want nothing", text)
	}
}

// progressLine is a line that tells how far a map has come.
var progressLine = regexp.MustCompile(`^wasmpool: after \d+[smhd]\w*: `)

// withoutReports leaves out lines about what takes long, as all does where the machine is very
// busy: how far a map has come, and the log's that no call has ended for a minute.
func withoutReports(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, `msg="no call has ended for a while"`) && !progressLine.MatchString(line) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// truncate copies the first bytes of a file:
//
//	truncate n from to
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: truncate n from to")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ts.ReadFile(args[1]))[:n], 0o644))
}

// holds waits until a file has so many whole lines:
//
//	holds n file
func holds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: holds n file")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[1]))
		if got = strings.Count(string(text), "\n"); err == nil && got >= want {
			return
		}
	}
	ts.Fatalf("%s has %d lines after a minute, want %d", args[1], got, want)
}

// whose is what lines say besides input and result: it differs with the compiler of the module, and from run to run.
var whose = regexp.MustCompile(`,"of":"[\w+]+@[0-9a-f]{12}"|,"arg":"[0-9a-f]{16}"|,"s":[\d.]+,"rank":\d+,"attempt":\d+`)

// same compares two files of results, but for what whose matches:
//
//	same file want
func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same file want")
	}
	got, want := whose.ReplaceAllString(ts.ReadFile(args[0]), ""), whose.ReplaceAllString(ts.ReadFile(args[1]), "")
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("%s (-want +got):\n%s", args[0], diff)
	}
}

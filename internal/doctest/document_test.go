//go:build mpi

package doctest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestREADME(t *testing.T) { playDocument(t, "../../README.md") }

func TestFailuresCommands(t *testing.T) { playDocument(t, "../../docs/failures.md") }

func TestMapCommands(t *testing.T) { playDocument(t, "../../docs/map.md") }

func TestDataCommands(t *testing.T) { playDocument(t, "../../docs/data.md") }

func TestLanguagesCommands(t *testing.T) { playDocument(t, "../../docs/languages.md") }

func TestABI(t *testing.T) { playDocument(t, "../../docs/abi.md") }

// playDocument runs a document from its first block to its last.
func playDocument(t *testing.T, path string) {
	t.Helper()
	t.Parallel()
	blocks, err := readBlocks(path)
	if err != nil {
		t.Fatal(err)
	}
	d := newDocument(t)
	for _, b := range blocks {
		d.play(t, b)
	}
	if d.commands == 0 {
		t.Error("no command was run")
	}
}

// A document is a run through the blocks of one.
type document struct {
	dir      string // the copy of the project
	env      []string
	commands int
	printed  string // by the block before
	skipped  bool   // the block before needs what is not installed here
}

// newDocument copies the project, without what was built in it.
func newDocument(t *testing.T) *document {
	t.Helper()
	d := &document{dir: filepath.Join(t.TempDir(), "wasmpool")}
	if err := copyProject(d.dir, "../.."); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "bin")
	if err := os.CopyFS(bin, os.DirFS("testdata/bin")); err != nil {
		t.Fatal(err)
	}
	d.env = append(environ(),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"WASMPOOL_CACHE="+t.TempDir(),
		// What was compiled is known again in another folder, by the next document, too.
		"GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"),
		"WORDS="+filepath.Join(d.dir, "executor"), // enough for make demo
		// As mpirun's flags would be: the tests run as root, on few cores.
		"OMPI_ALLOW_RUN_AS_ROOT=1",
		"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"OMPI_MCA_rmaps_base_oversubscribe=1",
	)
	return d
}

// environ is the environment without that of a make around the test.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
}

func copyProject(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case name == ".git", name == "bin", name == "out":
			return skip(entry)
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		return copyFile(filepath.Join(to, name), path, entry)
	})
}

// skip leaves out a file, or a folder with all that is in it.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func copyFile(to, from string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// play does with a block what its kind says.
func (d *document) play(t *testing.T, b block) {
	t.Helper()
	switch b.kind {
	case "sh":
		if d.skipped = !installed(b.arg); d.skipped {
			t.Logf("%v: without %s", b, b.arg)
			return
		}
		d.printed = d.shell(t, b, b.text)
		d.commands++
	case "output":
		if d.skipped {
			return
		}
		if diff := cmp.Diff(trim(b.text), trim(d.printed)); diff != "" {
			t.Errorf("%v: this was not printed (-want +got):\n%s", b, diff)
		}
	case "go":
		d.write(t, b)
		if changed := d.shell(t, b, "gofmt -l "+b.arg); changed != "" {
			t.Errorf("%v: not formatted", b)
		}
		d.shell(t, b, "go vet ./"+filepath.Dir(b.arg))
	case "c", "rust", "ts", "python":
		d.write(t, b)
	case "text":
	default:
		t.Errorf("%v: a block of the unknown kind %q", b, b.kind)
	}
}

// trim leaves out spaces at the ends, which a reader does not see.
func trim(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// shell runs a script and returns what it printed.
func (d *document) shell(t *testing.T, b block, script string) string {
	t.Helper()
	var errors strings.Builder
	words := []string{"bash", "-euo", "pipefail", "-c", script}
	if b.arg == "slurm" {
		words = append([]string{"scripts/slurm", "-n", "4"}, words...)
	}
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = d.dir, d.env, &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s\n%s%s", b, err, script, out, errors.String())
	}
	return string(out)
}

// installed reports whether the compiler that a block needs is there.
func installed(compiler string) bool {
	switch compiler {
	case "asc":
		_, err := exec.LookPath(compiler)
		return err == nil
	case "rustc":
		dir, err := exec.Command(compiler, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			return false
		}
		_, err = os.Stat(strings.TrimSpace(string(dir)))
		return err == nil
	}
	return true
}

// write writes a file.
func (d *document) write(t *testing.T, b block) {
	t.Helper()
	path := filepath.Join(d.dir, filepath.FromSlash(b.arg))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
}

package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// root is the import path of the project.
const root = "github.com/wasmpool/wasmpool"

// A listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	CgoFiles   []string
	Deps       []string // without Imports' order
	Export     string   // the file with its export data
}

// A view is one way of building the project.
type view struct {
	name string
	tags string
	env  []string
}

// views are those in which the arrows must hold. In the first two, cgo is
// allowed, so that a stray cgo file is seen even when the tests run without it.
var views = []view{
	{name: "plain", env: []string{"CGO_ENABLED=1"}},
	{name: "mpi", tags: "mpi", env: []string{"CGO_ENABLED=1"}},
	{name: "nocgo", env: []string{"CGO_ENABLED=0"}},
	{name: "darwin", env: []string{"CGO_ENABLED=0", "GOOS=darwin", "GOARCH=arm64"}},
	{name: "windows", env: []string{"CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64"}},
}

// list runs go list on all packages of the project and what they need. It reads
// sources only: neither a C compiler nor MPI has to be there.
func (v view) list(t *testing.T, args ...string) map[string]*listed {
	t.Helper()
	args = append([]string{"list", "-deps", "-json=ImportPath,Standard,Imports,CgoFiles,Deps,Export", "-tags", v.tags}, args...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), v.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	packages := decode(t, out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return packages
}

func decode(t *testing.T, in io.Reader) map[string]*listed {
	t.Helper()
	packages := map[string]*listed{}
	for dec := json.NewDecoder(in); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatal(err)
		}
		packages[p.ImportPath] = &p
	}
}

// short returns a package's path within the project, "." for its root.
func short(path string) (string, bool) {
	if path == root {
		return ".", true
	}
	return strings.CutPrefix(path, root+"/")
}

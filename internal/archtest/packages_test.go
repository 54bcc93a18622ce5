package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
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

// lists are what go list told of all packages, by the name of the view: it is asked once.
var lists = func() map[string]func() (map[string]*listed, error) {
	lists := map[string]func() (map[string]*listed, error){}
	for _, v := range views {
		lists[v.name] = sync.OnceValues(func() (map[string]*listed, error) { return v.list("./...") })
	}
	return lists
}()

// all returns all packages of the project and what they need.
func (v view) all(t *testing.T) map[string]*listed {
	t.Helper()
	packages, err := lists[v.name]()
	if err != nil {
		t.Fatal(err)
	}
	return packages
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

// list runs go list on packages of the project and on what they need. It reads sources only,
// unless args ask for more: neither a C compiler nor MPI has to be there.
func (v view) list(args ...string) (map[string]*listed, error) {
	args = append([]string{"list", "-deps", "-json=ImportPath,Standard,Imports,CgoFiles,Deps,Export", "-tags", v.tags}, args...)
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), v.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	packages := map[string]*listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
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

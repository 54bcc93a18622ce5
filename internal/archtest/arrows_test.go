package archtest

import (
	"slices"
	"strings"
	"testing"
)

// Modules that several packages may import.
const (
	empi        = "github.com/emer/empi/v2"
	flock       = "github.com/gofrs/flock"
	cobra       = "github.com/spf13/cobra"
	doublestar  = "github.com/bmatcuk/doublestar/v4"
	pflag       = "github.com/spf13/pflag"
	progressbar = "github.com/schollz/progressbar/v3"
	prometheus  = "github.com/prometheus/client_golang"
	otel        = "go.opentelemetry.io/otel"
	wazero      = "github.com/tetratelabs/wazero"
	landlock    = "github.com/landlock-lsm/go-landlock"
	psx         = "kernel.org/pub/linux/libs/security/libcap/psx"
	xxhash      = "github.com/cespare/xxhash/v2"
	seccomp     = "github.com/elastic/go-seccomp-bpf"
	xnet        = "golang.org/x/net"
	xsys        = "golang.org/x/sys"
	xterm       = "golang.org/x/term"
	goleak      = "go.uber.org/goleak"
)

// arrows says what each package may import besides the standard library:
// packages of this project by their path in it, and other modules. A name also
// stands for what lies below it. All imports point down this list.
//
// A package that is not here fails the test: whoever adds one says where it
// stands.
var arrows = []struct {
	pkg string
	may []string
}{
	{"cmd/wasmpool", []string{".", "executor", "host", "wasmtasks", "internal/bench", "internal/cachedir", "internal/filelock", "internal/jobdir", "internal/jobsocket", "internal/launch", "internal/plain", "internal/toolchain", "internal/transport/mpi", "memo", "monitor", cobra, doublestar, pflag, xsys, xterm}},
	{"examples", []string{"examples", "executor", "pool", "sdk", "wasmtasks", progressbar}},
	{"bench", []string{"bench", "internal/bench", "executor", "pool", "sdk", "wasmtasks"}},
	{"stress", []string{"internal/hostile", "executor", "host", "memo", "sdk", "wasmtasks"}},
	{"bench/difftest", []string{"internal/difftest"}},
	{"bench/limits", []string{"executor", "host", "wasmtasks", "sdk"}},
	{"internal/hostile", []string{"executor", "host", "wasmtasks"}},
	{"internal/hostile/guest", []string{"sdk"}},
	{"internal/bench", []string{"executor", "host", "wasmtasks", "internal/dispatcher", "internal/transport", "internal/wire"}},
	{"monitor/otelspans", []string{"executor", "feed", "internal/plain", otel}},
	{"pool", []string{"executor"}},
	{"memo", []string{"executor", "internal/filelock", xxhash}},
	{"executor", []string{"feed", "host", "wasmtasks", "internal/blob", "internal/cachedir", "internal/confine", "internal/dispatcher", "internal/jobdir", "internal/memory", "internal/transport", "internal/worker"}},
	{"internal/dispatcher", []string{"feed", "host", "wasmtasks", "internal/blob", "internal/lines", "internal/memory", "internal/monotime", "internal/plain", "internal/transport", "internal/wire", xsys, xxhash}},
	{"feed", []string{"host"}},
	{"monitor", []string{"executor", "feed", "host", "internal/jobsocket", "internal/plain", prometheus}},
	{"internal/worker", []string{"host", "wasmtasks", "internal/blob", "internal/lines", "internal/memory", "internal/monotime", "internal/transport", "internal/wasmbin", "internal/wire"}},
	{"internal/difftest", []string{"internal/abi", "internal/compile", "internal/meter", "internal/mutant", "internal/wasmbin", wazero, xsys}},
	{"host", []string{"wasmtasks", "internal/abi", "internal/cachedir", "internal/compile", "internal/memory", "internal/meter", "internal/monotime", "internal/wasmbin", wazero, xsys, xxhash}},
	{"internal/compile", []string{"wasmtasks", "internal/abi", "internal/cachedir", "internal/enginefix", "internal/meter", "internal/monotime", "internal/wasmbin", flock, wazero, xsys}},
	{"internal/guesttest", []string{"wasmtasks", "internal/unittest"}},
	{"wasmtasks", []string{"internal/abi", "internal/cachedir", "internal/toolchain", "internal/wasmbin", flock}},
	{"internal/toolchain", []string{"internal/wasmbin"}},
	{"sdk", []string{"internal/abi"}},
	{"internal/transport/mpi", []string{"internal/monotime", "internal/transport", empi, xsys}},
	{"internal/transport/mem", []string{"internal/memory", "internal/transport"}},
	{"internal/transport/seal", []string{"internal/transport"}},
	{"internal/transport/fault", []string{"internal/transport"}},
	{"internal/transport/transporttest", []string{"internal/transport"}},
	{"internal/transport", []string{xsys}},
	{"internal/confine", []string{landlock, psx, seccomp, xnet, xsys}},
	{"internal/wire", nil},
	{"internal/blob", []string{"internal/cachedir", "internal/memory", "internal/monotime", flock, xsys}},
	{"internal/memory", []string{xsys}},
	{"internal/enginefix", []string{wazero}},
	{"internal/meter", []string{"internal/abi", "internal/wasmbin"}},
	{"internal/mutant", []string{"internal/wasmbin"}},
	{"internal/wasmbin", nil},
	{"internal/abi", nil},
	{"internal/archtest", nil},
	{"internal/launch", []string{"internal/jobdir"}},
	{"internal/filelock", []string{flock}},
	{"internal/jobdir", nil},
	{"internal/jobsocket", nil},
	{"internal/lines", nil},
	{"internal/monotime", nil},
	{"internal/plain", nil},
	{"internal/cachedir", nil},
	{"internal/doctest", nil},
	{"internal/scripttest", []string{"wasmtasks"}},
	{"internal/mpitest", []string{"internal/unittest"}},
	{"internal/unittest", []string{goleak}},
	{".", nil},
}

// below reports whether path is parent or lies below it.
func below(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// rule returns what a package of the project may import: the entry with the
// longest name is the one that counts.
func rule(pkg string) (may []string, found bool) {
	best := ""
	for _, a := range arrows {
		if below(pkg, a.pkg) && (!found || len(a.pkg) > len(best)) {
			best, may, found = a.pkg, a.may, true
		}
	}
	return may, found
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			packages := v.all(t)
			for path, p := range packages {
				if pkg, own := short(path); own {
					checkImports(t, packages, pkg, p)
				}
			}
		})
	}
}

// A guest is compiled to wasm: there, too, it carries neither cgo nor a runtime.
func TestGuestArrows(t *testing.T) {
	t.Parallel()
	v := view{env: []string{"CGO_ENABLED=0", "GOOS=wasip1", "GOARCH=wasm"}}
	packages, err := v.list("./sdk")
	if err != nil {
		t.Fatal(err)
	}
	for path, p := range packages {
		pkg, own := short(path)
		if !own && !p.Standard {
			t.Errorf("sdk needs %s, want the standard library only", path)
		}
		if own && pkg != "sdk" && pkg != "internal/abi" {
			t.Errorf("sdk needs %s, want internal/abi only", pkg)
		}
	}
}

func checkImports(t *testing.T, packages map[string]*listed, pkg string, p *listed) {
	t.Helper()
	may, found := rule(pkg)
	if !found {
		t.Errorf("package %s has no entry among the arrows", pkg)
	}
	for _, path := range p.Imports {
		if path == "C" || packages[path].Standard {
			continue
		}
		name := path
		if own, ok := short(path); ok {
			name = own
		}
		if !slices.ContainsFunc(may, func(m string) bool { return below(name, m) }) {
			t.Errorf("%s imports %s, which is no arrow of the design", pkg, name)
		}
	}
}

// Only the MPI fabric, the module it starts MPI with, and what confines the threads that
// MPI makes have cgo, and only in a build that asks for it.
func TestCgo(t *testing.T) {
	t.Parallel()
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for path, p := range v.all(t) {
				if !p.Standard && len(p.CgoFiles) > 0 {
					got = append(got, path)
				}
			}
			slices.Sort(got)
			var want []string
			if v.tags == "mpi" {
				want = []string{empi + "/mpi", root + "/internal/transport/mpi", psx}
			}
			if !slices.Equal(got, want) {
				t.Errorf("packages with cgo: %v, want %v", got, want)
			}
		})
	}
}

// Test code stays out of programs, and out of what libraries drag in.
func TestNoTestCode(t *testing.T) {
	t.Parallel()
	for path, p := range views[1].all(t) {
		pkg, own := short(path)
		if own && !strings.HasSuffix(pkg, "test") && slices.Contains(p.Deps, "testing") {
			t.Errorf("%s needs the package testing", pkg)
		}
	}
}

// libraryModules are all that a program gets with the public packages, beside
// itself. Each has an entry in RATIONALE.md.
var libraryModules = []string{wazero, flock, xsys, empi, landlock, psx, seccomp, xnet, xxhash}

// apart are packages that users of executor do not get with it.
var apart = []string{"memo", "monitor"}

func TestLibraryDependencies(t *testing.T) {
	t.Parallel()
	packages := views[1].all(t)
	needed := map[string]bool{}
	for _, pkg := range []string{"executor", "host", "pool", "sdk", "wasmtasks"} {
		for _, path := range packages[root+"/"+pkg].Deps {
			needed[path] = true
		}
	}
	for path := range needed {
		p := packages[path]
		_, own := short(path)
		allowed := slices.ContainsFunc(libraryModules, func(m string) bool { return below(path, m) })
		if !own && !p.Standard && !allowed {
			t.Errorf("the libraries need %s: write down why, or do without", path)
		}
		if pkg, _ := short(path); own && slices.ContainsFunc(apart, func(a string) bool { return below(pkg, a) }) {
			t.Errorf("the libraries need %s, which is for those who ask for it", pkg)
		}
	}
}

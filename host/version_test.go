package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// Of a build that does not say which engine it has, no other program is taken to have the same.
func TestEngineVersion(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := func() (string, error) { return name, nil }
	own := fmt.Sprintf("of the program %x", sha256.Sum256([]byte("program")))
	with := func(m debug.Module) *debug.BuildInfo {
		m.Path = engineModule
		return &debug.BuildInfo{Deps: []*debug.Module{{Path: "other", Version: "v9"}, &m}}
	}
	for what, tc := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"a version":            {with(debug.Module{Version: "v1.2.3"}), "v1.2.3"},
		"another module":       {with(debug.Module{Version: "v1.2.3", Replace: &debug.Module{Path: "fork", Version: "v5", Sum: "h1:x"}}), "fork@v5h1:x"},
		"a folder":             {with(debug.Module{Version: "v1.2.3", Replace: &debug.Module{Path: "../wazero"}}), own},
		"no version":           {with(debug.Module{}), own},
		"no engine":            {&debug.BuildInfo{}, own},
		"no build information": {nil, own},
	} {
		if got := engineVersion(tc.info, program); got != tc.want {
			t.Errorf("%s: %s, want %s", what, got, tc.want)
		}
	}
	none := func() (string, error) { return "", errors.New("none") }
	if first, second := engineVersion(nil, none), engineVersion(nil, none); first == second {
		t.Error("two programs that nothing is known of have the same engine")
	}
}

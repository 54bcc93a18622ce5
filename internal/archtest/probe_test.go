package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestProbes checks that only tests run a dispatcher's loop by hand and look inside: a Probe is made
// nowhere else.
func TestProbes(t *testing.T) {
	t.Parallel()
	tests := 0
	project := os.DirFS("../..")
	err := fs.WalkDir(project, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || path == "internal/dispatcher/probe.go" {
			return err
		}
		text, err := fs.ReadFile(project, path)
		switch made := bytes.Contains(text, []byte(".Probe()")); {
		case made && strings.HasSuffix(path, "_test.go"):
			tests++
		case made:
			t.Errorf("%s makes a dispatcher.Probe, which is for tests", path)
		}
		return err
	})
	if err != nil || tests < 2 {
		t.Errorf("probes in %d tests: %v", tests, err)
	}
}

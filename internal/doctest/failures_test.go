package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shownBy is a test named in a table: its package's folder, its name, perhaps the
// name of a part.
var shownBy = regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)(?:/([^`]+))?`")

// TestFailures checks that each row of docs/failures.md names tests that exist.
func TestFailures(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, measured := 0, false
	for line := range strings.Lines(string(text)) {
		measured = measured || strings.HasPrefix(line, "## To see it")
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(strings.TrimSpace(line), "shown by |") || measured {
			continue
		}
		rows++
		tests := shownBy.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test is named in %q", line)
		}
		for _, m := range tests {
			if !testExists(t, m[1], m[2], m[3]) {
				t.Errorf("there is no %s", m[0])
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows", rows)
	}
}

// TestPromises checks that each promise of SECURITY.md names tests that exist.
func TestPromises(t *testing.T) {
	t.Parallel()
	_, promised, _ := strings.Cut(readText(t, "../../SECURITY.md"), "## What is promised")
	promised, _, _ = strings.Cut(promised, "\n## ")
	promises := strings.Split(promised, "\n- **")[1:]
	for _, promise := range promises {
		tests := shownBy.FindAllStringSubmatch(promise, -1)
		if len(tests) == 0 {
			t.Errorf("no test is named in %q", promise)
		}
		for _, m := range tests {
			if !testExists(t, m[1], m[2], m[3]) {
				t.Errorf("there is no %s", m[0])
			}
		}
	}
	if len(promises) < 5 {
		t.Errorf("%d promises", len(promises))
	}
}

func testExists(t *testing.T, folder, name, part string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := strings.Contains(string(text), `"`+part+`"`)
		if prefix, variant, ok := strings.Cut(part, ": "); ok && !named {
			named = strings.Contains(string(text), `"`+prefix+`: "+`) && strings.Contains(string(text), `"`+variant+`"`)
		}
		if strings.Contains(string(text), "func "+name+"(") && (part == "" || named) {
			return true
		}
	}
	return false
}

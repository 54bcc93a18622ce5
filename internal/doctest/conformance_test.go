package doctest

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// TestConformance checks that docs/conformance.md has a row for every name of
// testdata/python-names.txt, with a known verdict and tests that exist.
func TestConformance(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, pattern := range []string{"../../executor/*_test.go", "../../internal/dispatcher/*_test.go", "../../pool/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllSubmatch(text, -1) {
				tests[string(m[1])] = true
			}
		}
	}
	rows := conformanceRows(t)
	for key, cells := range rows {
		switch verdict := cells[2]; verdict {
		case "same", "better", "different", "missing":
		default:
			t.Errorf("%s: the verdict is %q", key, verdict)
		}
		if !tests[cells[3]] {
			t.Errorf("%s: there is no test %q", key, cells[3])
		}
	}
	text, err := os.ReadFile("testdata/python-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if rows[line] == nil {
			t.Errorf("%s has no row", line)
		}
	}
}

// conformanceRows returns the cells of each row by section and name.
func conformanceRows(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, section := map[string][]string{}, ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 5 {
			t.Fatalf("%d cells in %q", len(cells), line)
		}
		key := section + " " + strings.Trim(cells[0], "`")
		if rows[key] != nil {
			t.Errorf("%s has two rows", key)
		}
		rows[key] = cells
	}
	return rows
}

package doctest

import (
	"regexp"
	"strings"
	"testing"
)

// quoted is a name between back quotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// TestPackageTable checks that the table of packages in CONTRIBUTING.md has a row for each
// package, or for the folder above it, and none for one that is not there.
func TestPackageTable(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readText(t, "../../CONTRIBUTING.md"), "| package |")
	table, _, _ = strings.Cut(table, "\n\n")
	folders, used := sourceFiles(t), map[string]bool{}
	var rows []string
	for line := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, m := range quoted.FindAllStringSubmatch(first, -1) {
			rows = append(rows, m[1])
		}
	}
	for folder := range folders {
		found := folder == "."
		for _, row := range rows {
			if folder == row || strings.HasPrefix(folder, row+"/") {
				found, used[row] = true, true
			}
		}
		if !found {
			t.Errorf("CONTRIBUTING.md has no row for the package %s", folder)
		}
	}
	for _, row := range rows {
		if !used[row] {
			t.Errorf("CONTRIBUTING.md has a row for %s, which is not there", row)
		}
	}
}

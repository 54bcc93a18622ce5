package doctest

import (
	"regexp"
	"strings"
	"testing"
)

var (
	// partOfName is one word of a text, or of a name in mixed case.
	partOfName = regexp.MustCompile(`[A-Z]?[a-z]+`)
	// firstCell is the first cell of a row, when it is one word.
	firstCell = regexp.MustCompile(`(?m)^\| ([a-z]+) \|`)
)

// TestWords checks that the words which docs/words.md has given up do not come back.
func TestWords(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readText(t, "../../docs/words.md"), "## Words that were given up")
	given := map[string]bool{}
	for _, m := range firstCell.FindAllStringSubmatch(table, -1) {
		given[m[1]], given[m[1]+"s"] = true, true
	}
	if len(given) == 0 {
		t.Error("no word was given up")
	}
	for path, text := range projectFiles(t, ".go", ".c", ".h", ".md", ".yml", ".txtar", "Makefile") {
		if path == "docs/words.md" || path == "CHANGELOG.md" {
			continue
		}
		for _, word := range partOfName.FindAllString(path+" "+text, -1) {
			if given[strings.ToLower(word)] {
				t.Errorf("%s has the word %q: see docs/words.md", path, word)
			}
		}
	}
}

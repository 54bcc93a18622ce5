package doctest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// wrap is where a comment goes on in the next line.
	wrap = regexp.MustCompile(`\n[\t ]*(?://|#|\*)? *`)
	// citation is a question of RATIONALE.md, as comments name it.
	citation = regexp.MustCompile(`RATIONALE\.md,? "([^"]+)"`)
	// link is the target of a link in a document.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// heading is a title of a document.
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// inBlock is a block of code in a document.
	inBlock = regexp.MustCompile("(?s)\n```.*?\n```")
)

// TestCitations checks that RATIONALE.md has each question that a comment cites.
func TestCitations(t *testing.T) {
	t.Parallel()
	titles := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(readText(t, "../../RATIONALE.md"), -1) {
		titles[m[1]] = true
	}
	cited := 0
	for path, text := range projectFiles(t, ".go", ".c", ".h", ".md", ".yml", "Makefile") {
		for _, m := range citation.FindAllStringSubmatch(wrap.ReplaceAllString(text, " "), -1) {
			if cited++; !titles[m[1]] {
				t.Errorf("%s cites %q, which RATIONALE.md does not have", path, m[1])
			}
		}
	}
	if cited < 5 {
		t.Errorf("%d citations", cited)
	}
}

// TestLinks checks that links between documents lead to files and titles that are there.
func TestLinks(t *testing.T) {
	t.Parallel()
	documents := projectFiles(t, ".md")
	checked := 0
	for path, text := range documents {
		for _, m := range link.FindAllStringSubmatch(inBlock.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			checked++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if anchor != "" && !anchors(documents[target])[anchor] {
				t.Errorf("%s links to %s, which has no such title", path, m[1])
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d links", checked)
	}
}

// anchors are the names by which links reach the titles of a document.
func anchors(document string) map[string]bool {
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(inBlock.ReplaceAllString(document, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		names[name] = true
	}
	return names
}

// projectFiles returns the text of the project's files whose names end so, by their paths
// within the project.
func projectFiles(t *testing.T, endings ...string) map[string]string {
	t.Helper()
	const root = "../.."
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == ".git" || name == "bin" || name == "out") {
				return fs.SkipDir
			}
			return nil
		}
		for _, ending := range endings {
			if strings.HasSuffix(name, ending) && entry.Type().IsRegular() {
				inside, err := filepath.Rel(root, path)
				if err != nil {
					return err
				}
				files[filepath.ToSlash(inside)] = readText(t, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

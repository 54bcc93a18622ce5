package doctest

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mapTitle begins the part of a package's documentation that says what each file holds.
const mapTitle = "# Reading the source"

// mostWithoutMap is how many files a package may have without such a part.
const mostWithoutMap = 5

// fileName is a file of source code, as a map names it.
var fileName = regexp.MustCompile(`\b\w+\.(?:go|c|h|s)\b`)

// TestSourceMaps checks that each package of more than a few files says in doc.go what its
// files hold, that it names them all, and that it names no file that is not there.
func TestSourceMaps(t *testing.T) {
	t.Parallel()
	withMap := 0
	for folder, files := range sourceFiles(t) {
		text := packageMap(t, folder)
		if text == "" {
			if len(files) > mostWithoutMap {
				t.Errorf("%s has %d files and no %q in its doc.go", folder, len(files), mapTitle)
			}
			continue
		}
		withMap++
		named := fileName.FindAllString(text, -1)
		for _, file := range files {
			if !slices.Contains(named, file) && file != "doc.go" {
				t.Errorf("%s/doc.go does not say what %s holds", folder, file)
			}
		}
		for _, file := range named {
			if !slices.Contains(files, file) {
				t.Errorf("%s/doc.go names %s, which is not there", folder, file)
			}
		}
	}
	if withMap < 10 {
		t.Errorf("%d packages have a map of their files", withMap)
	}
}

// sourceFiles returns the files of source code, without tests, of each folder that has
// code in Go.
func sourceFiles(t *testing.T) map[string][]string {
	t.Helper()
	folders, inGo := map[string][]string{}, map[string]bool{}
	for file := range projectFiles(t, ".go", ".c", ".h", ".s") {
		folder, name := path.Split(file)
		if strings.HasSuffix(name, "_test.go") || strings.Contains(folder, "testdata/") {
			continue
		}
		folder = path.Clean(folder)
		folders[folder] = append(folders[folder], name)
		inGo[folder] = inGo[folder] || strings.HasSuffix(name, ".go")
	}
	maps.DeleteFunc(folders, func(folder string, _ []string) bool { return !inGo[folder] })
	return folders
}

// packageMap returns the map in the documentation of a package, or nothing.
func packageMap(t *testing.T, folder string) string {
	t.Helper()
	name := filepath.Join("../..", folder, "doc.go")
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(file.Doc.Text(), mapTitle)
	text, _, _ = strings.Cut(text, "\n# ")
	return text
}

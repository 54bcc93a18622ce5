package doctest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// ownPath is the path of a file or folder of the project, as documents name it, perhaps
	// with the name of a test behind it.
	ownPath = regexp.MustCompile(`^(?:\./)?((?:executor|host|pool|sdk|wasmtasks|internal|cmd|bench|stress|examples|scripts|docs)/[\w./-]*?)(?:\.Test\w.*)?$`)
	// ownName is an exported name of a public package, perhaps with one of its fields or methods.
	ownName = regexp.MustCompile(`^\*?(executor|host|pool|sdk|wasmtasks)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	// ownField is a field or method of a type that documents name without its package.
	ownField = regexp.MustCompile(`^(?:Config|Limits|Grants|RetryPolicy|Executor|Future|Info|Stats)\.([A-Z]\w*)`)
	// target is one of make's.
	target = regexp.MustCompile(`^make ([a-z-]+)`)
	// testName is the name of a test, wherever it stands.
	testName = regexp.MustCompile(`\bTest[A-Z]\w+`)
)

// TestNames checks that what documents name is there: files, tests, targets of make, and
// exported names of the public packages.
func TestNames(t *testing.T) {
	t.Parallel()
	code, tests := packageCode(t)
	makefile := "\n" + readText(t, "../../Makefile")
	declares := func(name string, folders ...string) bool {
		word := regexp.MustCompile(`\b` + name + `\b`)
		for _, folder := range folders {
			if word.MatchString(code[folder]) {
				return true
			}
		}
		return false
	}
	checked := 0
	for document, text := range projectFiles(t, ".md") {
		text = inBlock.ReplaceAllString(text, "")
		for _, name := range testName.FindAllString(text, -1) {
			if checked++; !tests[name] {
				t.Errorf("%s: there is no test %s", document, name)
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			checked++
			if p := ownPath.FindStringSubmatch(m[1]); p != nil {
				if _, err := os.Stat(filepath.Join("../..", p[1])); err != nil {
					t.Errorf("%s: there is no %s", document, p[1])
				}
			}
			if n := ownName.FindStringSubmatch(m[1]); n != nil && !tests[n[2]] && (!declares(n[2], n[1]) || !declares(n[3], n[1])) {
				t.Errorf("%s: there is no %s", document, n[0])
			}
			if n := ownField.FindStringSubmatch(m[1]); n != nil && !declares(n[1], "executor", "host") {
				t.Errorf("%s: there is no %s", document, n[0])
			}
			if n := target.FindStringSubmatch(m[1]); n != nil && !strings.Contains(makefile, "\n"+n[1]+":") {
				t.Errorf("%s: there is no target for %s", document, n[0])
			}
		}
	}
	if checked < 500 {
		t.Errorf("%d names", checked)
	}
}

// packageCode returns the code of each folder, without tests, and the names of all tests.
func packageCode(t *testing.T) (code map[string]string, tests map[string]bool) {
	t.Helper()
	code, tests = map[string]string{}, map[string]bool{}
	for file, text := range projectFiles(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(text, -1) {
				tests[m[1]] = true
			}
			continue
		}
		code[path.Dir(file)] += text
	}
	return code, tests
}

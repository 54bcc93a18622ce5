package main

import "testing"

// Results stay in their folder, whatever their inputs are called.
func TestResultName(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"":               "7",
		"a":              "a",
		"a/b.txt":        "a/b.txt",
		"./a//b":         "a/b",
		"a/../b":         "b",
		"../a":           "a",
		"../../x/../a/b": "a/b",
		"/data/a":        "data/a",
		"/../a":          "a",
		"..a/b..":        "..a/b..",
	} {
		if got := resultName(7, file); got != want {
			t.Errorf("resultName(%q) = %q, want %q", file, got, want)
		}
	}
}

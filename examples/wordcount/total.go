package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/wasmpool/wasmpool/examples/wordcount/words"
)

// A total is what many files hold together.
type total struct {
	files, words int
	counts       map[string]int
}

// merge adds up the reports of the task.
func merge(reports iter.Seq2[[]byte, error]) (total, error) {
	t := total{counts: map[string]int{}}
	for data, err := range reports {
		var report words.Report
		if err == nil {
			err = json.Unmarshal(data, &report)
		}
		if err != nil {
			return total{}, err
		}
		t.files++
		t.words += report.Words
		for word, n := range report.Counts {
			t.counts[word] += n
		}
	}
	return t, nil
}

// countHere counts in this process and in another way than the task, to check
// it: with the standard library's splitting, all texts into one map.
func countHere(texts iter.Seq[[]byte]) total {
	t := total{counts: map[string]int{}}
	between := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for text := range texts {
		t.files++
		for word := range strings.FieldsFuncSeq(string(text), between) {
			t.words++
			t.counts[strings.ToLower(word)]++
		}
	}
	return t
}

// compare says how two totals differ.
func compare(got, want total) error {
	for word := range maps.Keys(want.counts) {
		if got.counts[word] != want.counts[word] {
			return fmt.Errorf("the counts differ: %q occurs %d times, the task says %d", word, want.counts[word], got.counts[word])
		}
	}
	if got.files != want.files || got.words != want.words || len(got.counts) != len(want.counts) {
		return fmt.Errorf("the counts differ: %d words, %d distinct, in %d files; the task says %d, %d, %d",
			want.words, len(want.counts), want.files, got.words, len(got.counts), got.files)
	}
	return nil
}

// top returns the n most frequent words, of equally frequent ones those that
// come first in the alphabet.
func (t total) top(n int) []string {
	most := slices.SortedFunc(maps.Keys(t.counts), func(a, b string) int {
		return cmp.Or(t.counts[b]-t.counts[a], strings.Compare(a, b))
	})
	return most[:min(n, len(most))]
}

func (t total) print(out io.Writer, seconds float64) {
	fmt.Fprintf(out, "%9d files\n%9d words\n%9d distinct words\n%9.2f seconds\n\n", t.files, t.words, len(t.counts), seconds)
	for _, word := range t.top(10) {
		fmt.Fprintf(out, "%9d %s\n", t.counts[word], word)
	}
	fmt.Fprintln(out)
}

//go:build mpi

package doctest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A block is one block of code of a document.
type block struct {
	line int    // of its first line of code
	kind string // the first word after the fence
	arg  string // the second
	text string
}

func (b block) String() string { return fmt.Sprintf("line %d", b.line) }

// readBlocks returns the fenced blocks of a document.
func readBlocks(path string) ([]block, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseBlocks(string(text))
}

func parseBlocks(text string) ([]block, error) {
	const fence = "```"
	var blocks []block
	var open *block
	for i, line := range strings.SplitAfter(text, "\n") {
		info, isFence := strings.CutPrefix(strings.TrimRight(line, "\n"), fence)
		switch {
		case isFence && open != nil:
			blocks, open = append(blocks, *open), nil
		case isFence:
			kind, arg, _ := strings.Cut(info, " ")
			open = &block{line: i + 2, kind: kind, arg: arg}
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		return nil, fmt.Errorf("the block of line %d has no end", open.line)
	}
	return blocks, nil
}

func TestParseBlocks(t *testing.T) {
	t.Parallel()
	got, err := parseBlocks("text\n```sh slurm\nls\nls\n```\n\n```output\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{line: 3, kind: "sh", arg: "slurm", text: "ls\nls\n"},
		{line: 8, kind: "output"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{})); diff != "" {
		t.Error(diff)
	}
	if _, err := parseBlocks("```sh\nls\n"); err == nil {
		t.Error("no error for a block without an end")
	}
}

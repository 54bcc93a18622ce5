package words

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Report says what was found in one text.
type Report struct {
	Bytes    int            `json:"bytes"`
	Lines    int            `json:"lines"` // ends of lines, as wc -l counts
	Words    int            `json:"words"`
	Distinct int            `json:"distinct"`
	Counts   map[string]int `json:"counts"`
}

// A Tally is a Report in the making.
//
// It keeps the words in a list, which is sorted and written without a detour
// through a map of strings and encoding/json: in wasm, that is twice as fast.
type Tally struct {
	bytes, lines, words int
	found               []entry
	index               map[string]int // into found
}

type entry struct {
	word string
	n    int
}

func (t *Tally) add(word []byte) {
	if len(word) == 0 {
		return
	}
	t.words++
	i, known := t.index[string(word)]
	if !known {
		i = len(t.found)
		t.found = append(t.found, entry{word: string(word)})
		t.index[t.found[i].word] = i
	}
	t.found[i].n++
}

// JSON returns the Report, with its words sorted, so that the same text gives
// the same bytes.
func (t *Tally) JSON() []byte {
	slices.SortFunc(t.found, func(a, b entry) int { return strings.Compare(a.word, b.word) })
	t.index = nil // which is wrong now
	out := fmt.Appendf(nil, `{"bytes":%d,"lines":%d,"words":%d,"distinct":%d,"counts":{`, t.bytes, t.lines, t.words, len(t.found))
	for i, e := range t.found {
		if i > 0 {
			out = append(out, ',')
		}
		// Letters and digits need no escapes.
		out = append(out, '"')
		out = append(out, e.word...)
		out = append(out, `":`...)
		out = strconv.AppendInt(out, int64(e.n), 10)
	}
	return append(out, "}}"...)
}

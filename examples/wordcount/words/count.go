package words

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Count counts the words of a text.
func Count(text []byte) *Tally {
	t := &Tally{bytes: len(text), lines: bytes.Count(text, []byte{'\n'}), index: make(map[string]int)}
	var word []byte
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r < utf8.RuneSelf {
			r = rune(ascii[r])
		} else {
			r, size = utf8.DecodeRune(text[i:])
			r = lower(r)
		}
		i += size
		if r == between {
			t.add(word)
			word = word[:0]
			continue
		}
		word = utf8.AppendRune(word, r)
	}
	t.add(word)
	return t
}

// between stands for a rune that is none of a word's.
const between = -1

// lower returns a word's rune in lower case, or between.
func lower(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return unicode.ToLower(r)
	}
	return between
}

// ascii holds what lower returns for the most frequent runes.
var ascii = func() (table [utf8.RuneSelf]int8) {
	for c := range table {
		table[c] = int8(lower(rune(c)))
	}
	return table
}()

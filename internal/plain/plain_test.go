package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"plain, Zoë, 星, 👩\u200d🚀": "plain, Zoë, 星, 👩\u200d🚀",
		`back\slash "quote"`:      `back\slash "quote"`,
		"\x1b]0;pwned\a\x1b[2J":   `\x1b]0;pwned\a\x1b[2J`,
		"a\rb\nc\td\x7fe\x00":     `a\rb\nc\td\x7fe\x00`,
		"\u0085\u009b31m":         `\u0085\u009b31m`,
		"\x9b31m\xff":             `\x9b31m\xff`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"a\u2028b\u2029c\ufeff":   `a\u2028b\u2029c\ufeff`,
		"\U000e0041tag":           `\U000e0041tag`,
		"cut \xe6\x98":            `cut \xe6\x98`,
		"the sign \ufffd itself":  "the sign \ufffd itself",
		"surrogate \xed\xa0\x80":  `surrogate \xed\xa0\x80`,
	} {
		if got := Line(text); got != want {
			t.Errorf("Line(%+q) = %s, want %s", text, got, want)
		}
	}
	if got, want := Text("one\n\ttwo\r\n\x1b"), "one\n\ttwo"+`\r`+"\n"+`\x1b`; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

// Every character is shown or made visible.
func TestAll(t *testing.T) {
	t.Parallel()
	for r := range rune(unicode.MaxRune + 1) {
		want := !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == '\u200c' || r == '\u200d'
		if text := Line(string(r)); (text == string(r)) != want {
			t.Errorf("%U becomes %+q", r, text)
		}
	}
	for b := range 256 {
		if text := Line(string([]byte{byte(b)})); strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			t.Errorf("the byte %#x becomes %q", b, text)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	in := "\u2028 \u009b \x7f \u202e \U000e0041 Zoë 👩\u200d🚀 \""
	encoded, err := json.Marshal([]string{in})
	if err != nil {
		t.Fatal(err)
	}
	got := AppendJSON(nil, encoded)
	if want := `["\u2028 \u009b \u007f \u202e \udb40\udc41 Zoë 👩` + "\u200d" + `🚀 \""]`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	var back []string
	if err := json.Unmarshal(got, &back); err != nil || back[0] != in {
		t.Errorf("it means %q, %v", back, err)
	}
	if got := AppendJSON([]byte("x"), []byte(`{"a":1}`)); string(got) != `x{"a":1}` {
		t.Errorf("%s", got)
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b)
	if n, err := w.Write([]byte("a\x1b\n")); n != 3 || err != nil || b.String() != `a\x1b`+"\n" || w.Unwrap() != &b {
		t.Errorf("wrote %d, %v: %q", n, err, &b)
	}
	if n, err := NewWriter(broken{}).Write([]byte("a")); n != 0 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func BenchmarkAppendJSON(b *testing.B) {
	line := []byte(`{"i":0,"ok":true,"out":"` + strings.Repeat("plain text ", 10) + `"}`)
	buf := make([]byte, 0, 1000)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		buf = AppendJSON(buf[:0], line)
	}
}

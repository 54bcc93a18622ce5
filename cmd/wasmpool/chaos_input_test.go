package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A chaosKind is a kind of inputs that TestChaos edits.
type chaosKind struct {
	name  string
	flags func(c *chaos) []string
	some  func(c *chaos) chaosInput // nil where they are computed
	write func(c *chaos)
}

var chaosKinds = []chaosKind{
	{"lines", fromFile("--lines"), (*chaos).someLine, func(c *chaos) { c.writeFile("", "\n") }},
	{"jsonl", fromFile("--jsonl"), (*chaos).someJSON, func(c *chaos) { c.writeFile("\n", "\n") }},
	{"csv", fromFile("--csv"), (*chaos).someRow, func(c *chaos) { c.writeFile("n,pad\n", "\r\n") }},
	{"args-from", fromFile("--args-from"), (*chaos).someArg, func(c *chaos) { c.writeFile("", "\x00") }},
	{"files", func(c *chaos) []string { return []string{"--files", c.path("tree") + "/**"} }, (*chaos).someFile, (*chaos).writeTree},
	{"files-from", fromFile("--files-from"), (*chaos).someFile, (*chaos).writeList},
	{"range", func(c *chaos) []string { return []string{"--range", c.span.text()} }, nil, (*chaos).computeRange},
	{"param", func(c *chaos) []string { return []string{"--param", "n=" + c.span.text(), "--param", "k=fast,exact"} }, nil, (*chaos).computeParam},
}

func fromFile(flag string) func(c *chaos) []string {
	return func(c *chaos) []string { return []string{flag, c.path("in")} }
}

// begin makes the first inputs.
func (c *chaos) begin() {
	n := 1500
	if c.folder || c.ranks > 0 {
		n = 300
	}
	if strings.HasPrefix(c.kind.name, "files") {
		n = 100
	}
	if c.kind.some == nil {
		c.span = chaosSpan{from: 1, n: n, step: 1}
		return
	}
	for range n {
		c.inputs = append(c.inputs, c.kind.some(c))
	}
}

// edit inserts, deletes, changes and moves some inputs.
func (c *chaos) edit() {
	if c.kind.some == nil {
		c.span.from += c.rand.IntN(41) - 20
		c.span.n = max(c.span.n+c.rand.IntN(81)-40, 10)
		c.span.step = []int{1, 1, 1, 2, -1}[c.rand.IntN(5)]
		return
	}
	c.inputs = slices.Clone(c.inputs)
	for range c.rand.IntN(40) {
		at, to := c.rand.IntN(len(c.inputs)), c.rand.IntN(len(c.inputs))
		switch c.rand.IntN(4) {
		case 0:
			c.inputs = slices.Insert(c.inputs, at, c.kind.some(c))
		case 1:
			if len(c.inputs) > 20 {
				c.inputs = slices.Delete(c.inputs, at, at+1)
			}
		case 2:
			name := c.inputs[at].file
			if c.inputs[at] = c.kind.some(c); name != "" { // the content changes
				c.inputs[at].file = name
			}
		default: // files change their names so
			c.inputs[at], c.inputs[to] = c.inputs[to], c.inputs[at]
			if c.kind.name == "files" {
				c.inputs[at].file, c.inputs[to].file = c.inputs[to].file, c.inputs[at].file
			}
		}
	}
}

func (c *chaos) write() { c.kind.write(c) }

// pad returns text, which is long now and then.
func (c *chaos) pad() string {
	n := c.rand.IntN(20)
	if c.rand.IntN(100) == 0 {
		n = c.rand.IntN(30_000)
	}
	return strings.Repeat("p", n)
}

// oneIn reports true as often.
func (c *chaos) oneIn(n int) bool { return c.rand.IntN(n) == 0 }

func (c *chaos) someLine() chaosInput {
	text := fmt.Sprintf("n%d%s", c.rand.IntN(1000), c.pad())
	switch {
	case c.oneIn(50):
		text = "x" + text
	case c.oneIn(50):
		text += "\xff\u202e\r\t\x00\""
	}
	return chaosInput{text: text, arg: text}
}

func (c *chaos) someJSON() chaosInput {
	text := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, c.rand.IntN(1000), c.pad())
	if c.oneIn(50) {
		return chaosInput{text: fmt.Sprintf("{%d", c.rand.IntN(1000))}
	}
	return chaosInput{text: text, arg: text}
}

func (c *chaos) someRow() chaosInput {
	n, pad := c.rand.IntN(1000), c.pad()
	switch {
	case c.oneIn(50):
		return chaosInput{text: "1,2,3"}
	case c.oneIn(50):
		return chaosInput{text: fmt.Sprintf("%d,\"%s\n\"\",\"", n, pad), arg: fmt.Sprintf(`{"n":"%d","pad":"%s\n\","}`, n, pad)}
	}
	return chaosInput{text: fmt.Sprintf("%d,%s", n, pad), arg: fmt.Sprintf(`{"n":"%d","pad":"%s"}`, n, pad)}
}

func (c *chaos) someArg() chaosInput {
	in := c.someLine()
	in.arg = strings.ReplaceAll(in.arg, "\x00", "\n")
	in.text = in.arg
	return in
}

// someFile returns a file with a new name. One in some is no file but a link to nowhere.
func (c *chaos) someFile() chaosInput {
	c.made++
	name := filepath.Join(c.path("tree"), fmt.Sprint("d", c.rand.IntN(5)), fmt.Sprint("f", c.made))
	if c.oneIn(50) {
		return chaosInput{file: name}
	}
	in := c.someLine()
	in.file = name
	return in
}

// writeFile writes all inputs to a file, each with an end. It may be read meanwhile.
func (c *chaos) writeFile(head, end string) {
	text := bytes.NewBufferString(head)
	for _, in := range c.inputs {
		text.WriteString(in.text + end)
	}
	name := c.path("in")
	if c.oneIn(2) {
		name = c.path("new")
	}
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if name != c.path("in") {
		if err := os.Rename(name, c.path("in")); err != nil {
			c.t.Fatal(err)
		}
	}
}

// writeTree writes each input to its file.
func (c *chaos) writeTree() {
	if c.kind.name == "files" {
		slices.SortFunc(c.inputs, func(a, b chaosInput) int { return strings.Compare(a.file, b.file) })
	}
	if err := os.RemoveAll(c.path("tree")); err != nil {
		c.t.Fatal(err)
	}
	for _, in := range c.inputs {
		err := os.MkdirAll(filepath.Dir(in.file), 0o700)
		if err == nil && in.arg == "" {
			err = os.Symlink("nowhere", in.file)
		} else if err == nil {
			err = os.WriteFile(in.file, []byte(in.arg), 0o600)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// writeList writes each input to its file, and their names to a list.
func (c *chaos) writeList() {
	c.writeTree()
	var list bytes.Buffer
	for _, in := range c.inputs {
		list.WriteString(in.file + "\x00")
	}
	if err := os.WriteFile(c.path("in"), list.Bytes(), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaos) computeRange() {
	c.inputs = nil
	for i := range c.span.n {
		c.inputs = append(c.inputs, chaosInput{arg: fmt.Sprint(c.span.from + i*c.span.step)})
	}
}

func (c *chaos) computeParam() {
	c.inputs = nil
	for i := range c.span.n {
		for _, k := range []string{"fast", "exact"} {
			c.inputs = append(c.inputs, chaosInput{arg: fmt.Sprintf(`{"n":%d,"k":"%s"}`, c.span.from+i*c.span.step, k)})
		}
	}
}

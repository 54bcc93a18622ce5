package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/wasmpool/wasmpool/internal/plain"
)

// A csvTable is the columns that results have as CSV. The first ones are those of a line: "i" and
// "ok", and those of the others that a result has something for. Then come the members of results that
// are objects, as they are met first.
type csvTable struct {
	used    map[string]bool // columns of lines
	members []string
	at      map[string]int // of members
}

// lineColumns are the columns of a line, in their order.
var lineColumns = []string{"i", "file", "s", "rank", "attempt", "ok", "kind", "message", "out", "out_b64", "out_file"}

// printCSV prints results as CSV. It reads the file twice: what the header says depends on all.
func (a *app) printCSV(out io.Writer, file *os.File, rows *rowReader) error {
	if isTerminal(a.out) {
		out = plain.NewWriter(out)
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	t := &csvTable{used: map[string]bool{"i": true, "ok": true}, at: map[string]int{}}
	for r, err := range rows.all() {
		if err != nil {
			return err
		}
		t.add(r)
	}
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("reading the results again: %w", err)
	}
	rows.say = nil // all was said
	w := csv.NewWriter(out)
	w.Write(t.header()) //nolint:errcheck // Error tells
	for r, err := range rows.all() {
		if err != nil {
			return err
		}
		w.Write(t.cells(r)) //nolint:errcheck // likewise
	}
	w.Flush()
	return w.Error()
}

// add makes sure of columns for a result.
func (t *csvTable) add(r *resultRow) {
	for name := range lineCells(r) {
		t.used[name] = true
	}
	for _, m := range objectMembers(r.Out) {
		if _, ok := t.at[m.name]; !ok {
			t.at[m.name] = len(t.members)
			t.members = append(t.members, m.name)
		}
	}
}

// header returns the names of the columns. A member that is named as a column of lines has
// "out." before its name.
func (t *csvTable) header() []string {
	var names []string
	for _, name := range lineColumns {
		if t.used[name] {
			names = append(names, name)
		}
	}
	given := map[string]bool{}
	for _, name := range t.members {
		for slices.Contains(lineColumns, name) || given[name] {
			name = "out." + name
		}
		given[name] = true
		names = append(names, name)
	}
	return names
}

// cells returns a row, whose columns header names.
func (t *csvTable) cells(r *resultRow) []string {
	var cells []string
	own := lineCells(r)
	for _, name := range lineColumns {
		if t.used[name] {
			cells = append(cells, own[name])
		}
	}
	first := len(cells)
	cells = append(cells, make([]string, len(t.members))...)
	for _, m := range objectMembers(r.Out) {
		cells[first+t.at[m.name]] = cellText(m.value)
	}
	return cells
}

// lineCells returns what a line says, but for the members of an object.
func lineCells(r *resultRow) map[string]string {
	cells := map[string]string{"i": fmt.Sprint(*r.I), "ok": fmt.Sprint(*r.OK)}
	for name, text := range map[string]string{
		"file": r.File, "s": r.Seconds.String(), "rank": r.Rank.String(), "attempt": r.Attempt.String(),
	} {
		if text != "" {
			cells[name] = text
		}
	}
	switch {
	case !*r.OK:
		cells["kind"], cells["message"] = r.Error.Kind, r.Error.Message
	case r.OutFile != "":
		cells["out_file"] = r.OutFile
	case r.Base64 != nil:
		cells["out_b64"] = *r.Base64
	case r.Out[0] != '{':
		cells["out"] = cellText(r.Out)
	}
	return cells
}

// A member is one of a JSON object's.
type member struct {
	name  string
	value json.RawMessage
}

// objectMembers returns the members of a JSON object in their order, and of anything else none.
func objectMembers(text json.RawMessage) []member {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	var all []member
	d := json.NewDecoder(bytes.NewReader(text))
	d.Token() //nolint:errcheck // it is the brace: parseRow has read the text
	for d.More() {
		var m member
		name, _ := d.Token()
		m.name, _ = name.(string)
		if d.Decode(&m.value) != nil {
			break
		}
		all = append(all, m)
	}
	return all
}

// cellText is a JSON value in a cell: of a string its text, of null nothing.
func cellText(value json.RawMessage) string {
	switch value[0] {
	case '"':
		var text string
		json.Unmarshal(value, &text) //nolint:errcheck // it is JSON
		return text
	case 'n':
		return ""
	}
	var compact bytes.Buffer
	json.Compact(&compact, value) //nolint:errcheck // likewise
	return compact.String()
}

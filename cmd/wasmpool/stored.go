package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A stored result is what a line of a results file says of itself.
type stored struct {
	line  []byte
	i     int64
	of    string
	file  string
	arg   digest
	out   storedFile // with --out-dir
	ok    bool
	whole bool // it has a result, or an error
	rest  int  // where line goes on behind the number of the input; 0 when it must be written anew
}

// errTorn is the error of a line that is no JSON: something of it is missing.
var errTorn = errors.New("is torn")

// errForeign is the error of a line that map has not written.
var errForeign = errors.New("is no result of wasmpool map")

// errOld is the error of a line without digests.
var errOld = errors.New("is of an older wasmpool, and does not say of which task, module and argument it is")

// parse reads a line, without its newline. It reuses s and keeps line. Lines as map writes them
// are read without encoding/json: there may be a hundred million.
func (s *stored) parse(line []byte) error {
	if s.parseOwn(line) {
		return nil
	}
	return s.parseAny(line)
}

// parseOwn reads a line as map has written it. It reports false for any other.
func (s *stored) parseOwn(line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte(`{"i":`))
	digits := 0
	var i int64
	for digits < len(rest) && digits < 18 && rest[digits] >= '0' && rest[digits] <= '9' {
		i = i*10 + int64(rest[digits]-'0')
		digits++
	}
	of, rest, okOf := cutMember(rest[digits:], `,"of":"`)
	sum, rest, okArg := cutMember(rest, `,"arg":"`)
	arg, okSum := parseDigest(sum)
	if !found || digits == 0 || !okOf || !okArg || !okSum {
		return false
	}
	file, after, okFile := cutMember(rest, `,"file":"`)
	if okFile {
		rest = after
	}
	rest = cutRun(rest)
	failed := bytes.HasPrefix(rest, []byte(`,"ok":false,"error":{`)) && json.Valid(line)
	if !failed && !isSuccess(rest) {
		return false
	}
	if s.of != string(of) {
		s.of = string(of)
	}
	s.line, s.i, s.arg, s.file, s.out, s.ok, s.whole = line, i, arg, string(file), storedFile{}, !failed, true
	s.rest = len(`{"i":`) + digits
	return true
}

// cutMember cuts a member off the front of a line, up to the quote behind its value. A value
// that has escapes, or what no string may have, is not for it.
func cutMember(line []byte, name string) (value, rest []byte, ok bool) {
	after, ok := bytes.CutPrefix(line, []byte(name))
	if !ok {
		return nil, line, false
	}
	end := bytes.IndexByte(after, '"')
	if end < 0 || slices.ContainsFunc(after[:end], func(c byte) bool { return c == '\\' || c < ' ' }) {
		return nil, line, false
	}
	return after[:end], after[end+1:], true
}

// cutRun cuts what a line says of the run of its call off the front, where it says that.
func cutRun(line []byte) (rest []byte) {
	rest = line
	for _, name := range []string{`,"s":`, `,"rank":`, `,"attempt":`} {
		value, ok := bytes.CutPrefix(rest, []byte(name))
		end := bytes.IndexByte(value, ',')
		if !ok || end < 0 || !json.Valid(value[:end]) {
			return line
		}
		rest = value[end:]
	}
	return rest
}

// isSuccess reports whether the rest of a line says of a success what it gave, and nothing more.
func isSuccess(rest []byte) bool {
	rest, ok := bytes.CutPrefix(rest, []byte(`,"ok":true,"out`))
	value, text := bytes.CutPrefix(rest, []byte(`":`))
	if !text {
		value, ok = bytes.CutPrefix(rest, []byte(`_b64":`))
	}
	value, closed := bytes.CutSuffix(value, []byte("}"))
	return ok && closed && json.Valid(value)
}

func parseDigest(text []byte) (digest, bool) {
	if len(text) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text), 16, 64)
	return digest(n), err == nil
}

// parseAny reads a line of any form, such as one that jq has written.
func (s *stored) parseAny(line []byte) error {
	var r struct {
		I      *int64          `json:"i"`
		Of     string          `json:"of"`
		Arg    string          `json:"arg"`
		File   string          `json:"file"`
		OK     *bool           `json:"ok"`
		Out    json.RawMessage `json:"out"`
		Base64 *string         `json:"out_b64"`
		Name   string          `json:"out_file"`
		Digest string          `json:"out_digest"`
		Error  json.RawMessage `json:"error"`
	}
	if !json.Valid(line) {
		return errTorn
	}
	if err := json.Unmarshal(line, &r); err != nil || r.I == nil || *r.I < 0 || r.Of == "" && r.OK == nil {
		return errForeign
	}
	if r.Of == "" {
		return errOld
	}
	*s = stored{line: line, i: *r.I, of: r.Of, file: r.File}
	s.arg, _ = parseDigest([]byte(r.Arg))
	s.ok = r.OK != nil && *r.OK
	sum, inFile := parseDigest([]byte(r.Digest))
	if inFile = inFile && r.Name != ""; inFile {
		s.out = storedFile{r.Name, sum}
	}
	s.whole = r.OK != nil && (s.ok && (r.Out != nil || r.Base64 != nil || inFile) || !s.ok && r.Error != nil)
	return nil
}

// renumbered appends the line of the result as that of another input, and a newline.
func (s *stored) renumbered(dst []byte, i int64) []byte {
	dst = append(dst, `{"i":`...)
	dst = strconv.AppendInt(dst, i, 10)
	if s.rest > 0 {
		return append(append(dst, s.line[s.rest:]...), '\n')
	}
	var members map[string]json.RawMessage
	json.Unmarshal(s.line, &members) //nolint:errcheck // parseAny has read it
	delete(members, "i")
	for _, name := range slices.SortedFunc(maps.Keys(members), byPlace) {
		dst = appendJSONString(append(dst, ','), name)
		value := bytes.NewBuffer(append(dst, ':'))
		json.Compact(value, members[name]) //nolint:errcheck // it is JSON
		dst = value.Bytes()
	}
	return append(dst, "}\n"...)
}

// byPlace compares members by their place in a line.
func byPlace(a, b string) int {
	order := []string{"of", "arg", "file", "s", "rank", "attempt", "ok"}
	place := func(name string) int {
		if at := slices.Index(order, name); at >= 0 {
			return at
		}
		return len(order)
	}
	if c := place(a) - place(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// looksTorn reports whether a torn line may be what is left of a result.
func looksTorn(line []byte) bool {
	const begins = `{"i":`
	line = bytes.TrimLeft(line, "\x00") // of blocks that never came to the disk
	return bytes.HasPrefix(line, []byte(begins)) || strings.HasPrefix(begins, string(line[:min(len(line), len(begins))]))
}

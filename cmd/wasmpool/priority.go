package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
)

// priorityKinds are the inputs that are JSON objects, or may be.
var priorityKinds = []string{"jsonl", "csv", "param"}

// checkPriority finds flags that do not fit --priority.
func (f *mapFlags) checkPriority() error {
	switch {
	case f.priority == "":
		return nil
	case !slices.Contains(priorityKinds, f.in.kind):
		return fmt.Errorf("--priority goes by a field of JSON objects, and --%s has none: give the input with --jsonl F, --csv F or --param NAME=LIST", f.in.kind)
	case f.streams():
		return errors.New("--reduce takes the results in the order of the input, and --priority makes another one: keep the results with --out F")
	}
	return nil
}

// A prioritized input yields the inputs of another one in the order of a number in their field, the largest
// first. Those with equal numbers stay in their order; those without one come last. It reads all of them before
// it yields the first.
type prioritized struct {
	input
	field  string
	say    func(line string)
	again  func(p priorityPlace) item // has an input again; nil where items are kept
	place  func() int64               // of the input that is read, for again
	failed error
}

// A priorityPlace is an input that was read.
type priorityPlace struct {
	i      int64
	number float64 // -Inf where there is none
	at     int64   // where it begins in the file
	key    uint64  // of the argument
}

// prioritize returns the inputs in the order of --priority, if that is given. in has those that are to be read,
// of first, from which some can be had again.
func (f *mapFlags) prioritize(a *app, in, first input) input {
	if f.priority == "" {
		return in
	}
	p := &prioritized{input: in, field: f.priority, say: func(line string) { fmt.Fprintln(a.err, "wasmpool:", line) }}
	switch first := first.(type) {
	case *computed:
		p.again = func(p priorityPlace) item { return first.at(p.i) }
	case *lineInput:
		file, ok := first.from.(*os.File)
		if !ok || regular(file) == nil {
			break
		}
		if start, err := file.Seek(0, io.SeekCurrent); err == nil {
			first.start = start
			p.place, p.again = func() int64 { return first.at }, first.againFrom(file)
		}
	}
	return p
}

// againFrom returns what reads a line again.
func (in *lineInput) againFrom(file *os.File) func(p priorityPlace) item {
	lines := lineCutter{r: bufio.NewReaderSize(file, 16<<10), at: -1}
	var kept blocks
	return func(p priorityPlace) item {
		if p.at != lines.at {
			if _, err := file.Seek(p.at, io.SeekStart); err != nil {
				return item{bad: err}
			}
			lines.r.Reset(file)
			lines.at = p.at
		}
		line, err := lines.next()
		if err == nil {
			line, err = in.check(line)
		}
		if err != nil {
			return item{bad: err}
		}
		return item{arg: kept.keep(line)}
	}
}

func (in *prioritized) items(p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		places, kept := in.read(p)
		if in.err() != nil {
			return
		}
		for _, place := range places {
			it, ok := kept[place.i]
			delete(kept, place.i)
			if !ok {
				it = in.again(place)
			}
			if lineKey(it) != place.key {
				in.failed = errReadChanged
				return
			}
			if !yield(place.i, it) {
				return
			}
		}
	}
}

// read reads all inputs, and returns where they are, in the order of their numbers, and those that cannot be
// had again.
func (in *prioritized) read(p *plan) (places []priorityPlace, kept map[int64]item) {
	kept = map[int64]item{}
	without := 0
	for i, it := range in.input.items(p) {
		place := priorityPlace{i: i, number: math.Inf(-1), key: lineKey(it)}
		if number, ok := numberIn(it, in.field); ok {
			place.number = number
		} else {
			without++
		}
		if in.place != nil {
			place.at = in.place()
		}
		if in.again == nil || it.bad != nil {
			kept[i] = it
		}
		places = append(places, place)
	}
	switch whole := p.kept == 0 && p.part.all(); {
	case without == 0:
	case without == len(places) && whole: // else others may have one
		in.failed = fmt.Errorf("--priority %s: no input has a number in a field of that name", in.field)
	default:
		in.say(fmt.Sprintf("--priority %s: %d of %d inputs have no number there, and run last", in.field, without, len(places)))
	}
	slices.SortFunc(places, func(a, b priorityPlace) int {
		return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(a.i, b.i))
	})
	return places, kept
}

var errReadChanged = errors.New("the input changed after --priority had read it: start the map again")

// numberIn returns the number in a field of an object, which may be text there, as that of a table is.
func numberIn(it item, field string) (float64, bool) {
	var object map[string]json.RawMessage
	if it.bad != nil || json.Unmarshal(it.arg, &object) != nil {
		return 0, false
	}
	text := string(object[field])
	if json.Unmarshal(object[field], &text); !isNumber(text) { //nolint:errcheck // a number is none
		return 0, false
	}
	number, _ := strconv.ParseFloat(text, 64) // what is too large for one is infinite
	return number, true
}

func (in *prioritized) err() error { return cmp.Or(in.input.err(), in.failed) }

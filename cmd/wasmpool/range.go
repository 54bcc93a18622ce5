package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A progression is numbers with the same step between them. They have so many decimal places,
// all of them: 0.5, 1.0, 1.5.
type progression struct {
	text   string // as it was given
	n      int64  // how many numbers
	from   int64  // the first, in units of the last place
	step   int64  // likewise
	places int
}

// rangeNumber is a number of a range, in parts.
var rangeNumber = regexp.MustCompile(`^(-?(?:0|[1-9][0-9]*))(?:\.([0-9]+))?$`)

// mostPlaces is how many decimal places a number of 64 bits can have.
const mostPlaces = 18

// parseProgression parses text such as "1..100", "10..1..-3" or "0..1..0.1".
func parseProgression(text string) (progression, error) {
	ends := strings.Split(text, "..")
	if len(ends) < 2 || len(ends) > 3 {
		return progression{}, fmt.Errorf("%q is no range: want FROM..TO or FROM..TO..STEP, such as 1..100 or 0..1..0.1", text)
	}
	if len(ends) == 2 {
		ends = append(ends, "1")
	}
	p := progression{text: text}
	for _, end := range ends {
		parts := rangeNumber.FindStringSubmatch(end)
		if parts == nil {
			return progression{}, fmt.Errorf("%q is no range: %q is no number such as 7, -3 or 0.25", text, end)
		}
		p.places = max(p.places, len(parts[2]))
	}
	if p.places > mostPlaces {
		return progression{}, fmt.Errorf("range %q has more than %d decimal places", text, mostPlaces)
	}
	var units [3]int64
	for i, end := range ends {
		parts := rangeNumber.FindStringSubmatch(end)
		digits := parts[1] + parts[2] + strings.Repeat("0", p.places-len(parts[2]))
		var err error
		if units[i], err = strconv.ParseInt(digits, 10, 64); err != nil {
			return progression{}, fmt.Errorf("range %q has too many digits", text)
		}
	}
	p.from, p.step = units[0], units[2]
	return p, p.countTo(units[1])
}

// countTo sets how many numbers there are, up to one that may be the last.
func (p *progression) countTo(last int64) error {
	// The distance of two numbers of 64 bits, and the negative of the least, are right without signs.
	distance, step := uint64(last)-uint64(p.from), uint64(p.step)
	if p.step < 0 {
		distance, step = -distance, -step
	}
	switch {
	case p.step == 0:
		return fmt.Errorf("range %q has the step 0", p.text)
	case p.step > 0 && last < p.from:
		return fmt.Errorf("range %q has no numbers: to count down, give a step below 0, such as 10..1..-1", p.text)
	case p.step < 0 && last > p.from:
		return fmt.Errorf("range %q has no numbers: its step leads away from the end", p.text)
	case distance/step >= math.MaxInt64:
		return fmt.Errorf("range %q has too many numbers", p.text)
	}
	p.n = int64(distance/step) + 1
	return nil
}

// append appends number i, as text.
func (p *progression) append(dst []byte, i int64) []byte {
	number := p.from + i*p.step // what overflows in between comes back
	if p.places == 0 {
		return strconv.AppendInt(dst, number, 10)
	}
	size := uint64(number)
	if number < 0 {
		dst, size = append(dst, '-'), -size
	}
	unit := uint64(math.Pow10(p.places))
	dst = strconv.AppendUint(dst, size/unit, 10)
	at := len(dst)
	dst = strconv.AppendUint(dst, size%unit+unit, 10) // a 1 before the places keeps their zeros
	dst[at] = '.'
	return dst
}

// A rangeFlag is a flag whose value is a progression.
type rangeFlag struct{ progression }

// Set parses a range.
func (f *rangeFlag) Set(text string) error {
	if f.n > 0 {
		return errors.New("give one range")
	}
	p, err := parseProgression(text)
	f.progression = p
	return err
}

// String returns the range as it was given.
func (f *rangeFlag) String() string { return f.text }

// Type names the value in help.
func (f *rangeFlag) Type() string { return "range" }

func (f *rangeFlag) input() input { return &computed{n: f.n, append: f.append} }

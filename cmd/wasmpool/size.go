package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A byteSize is a flag whose value is a number of bytes with a unit.
type byteSize uint64

var byteUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
	{"", 1},
}

// Set parses text such as "512MiB", "2 GB" or "65536".
func (s *byteSize) Set(text string) error {
	for _, unit := range byteUnits {
		number, ok := cutSuffixFold(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if n *= unit.bytes; err != nil || !(n >= 1 && n < math.MaxInt64) {
			break
		}
		*s = byteSize(n)
		return nil
	}
	return fmt.Errorf("%q is no size, want one such as 512MiB or 2GiB", text)
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// String formats the size; that of 0 is empty, so that help shows no default.
func (s *byteSize) String() string {
	if *s == 0 {
		return ""
	}
	return formatBytes(uint64(*s))
}

// Type names the value in help.
func (s *byteSize) Type() string { return "size" }

// formatBytes formats a number of bytes for people.
func formatBytes(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1<<10 && unit < 2 {
		size /= 1 << 10
		unit++
	}
	text := strconv.FormatFloat(size, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + " " + byteUnits[unit].name
}

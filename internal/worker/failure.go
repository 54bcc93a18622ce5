package worker

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// encodeFailure returns the body of a failed result, short enough for a frame.
func encodeFailure(err error) []byte {
	var e *host.Error
	if !errors.As(err, &e) {
		e = &host.Error{Kind: host.KindHost, Message: err.Error()}
	}
	failure := wire.Failure{Kind: uint8(e.Kind), Code: e.Code, NoStart: e.NoStart, Log: e.Log}
	if e.Usage != (host.Usage{}) {
		u := wire.Usage(e.Usage)
		failure.Usage = &u
	}
	for most := 12 << 10; ; most /= 2 {
		text := min(most, 4<<10)
		failure.Message, failure.Stack, failure.Stderr = wire.Shortened(e.Message, text), wire.Shortened(e.Stack, text), tail(e.Stderr, most)
		if most < 1<<10 {
			failure.Log = nil
		}
		body, err := json.Marshal(failure)
		if err == nil && len(body) <= wire.Inline {
			return body
		}
	}
}

// tail returns the end of s, from the beginning of a line where it has several.
func tail(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[len(s)-most:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	if _, after, ok := strings.Cut(s, "\n"); ok && after != "" {
		return after
	}
	return s
}

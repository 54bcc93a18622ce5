//go:build !unix || aix

package host

import "math"

// reserveSpace reserves nothing: linear memory lives in the Go heap here.
func reserveSpace(uint64) []byte { return nil }

func commitSpace([]byte) error { return nil }

func mapSpace(n uint64) ([]byte, error) {
	if n > math.MaxInt {
		return nil, errNoSpace
	}
	return make([]byte, n), nil
}

func releaseSpace([]byte) {}

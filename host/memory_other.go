//go:build !unix || aix

package host

// reserveSpace reserves nothing: linear memory lives in the Go heap here.
func reserveSpace(uint64) []byte { return nil }

func commitSpace([]byte) error { return nil }

func releaseSpace([]byte) {}

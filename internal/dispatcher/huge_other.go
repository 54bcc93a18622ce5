//go:build !linux

package dispatcher

func preferHuge([]byte) {}

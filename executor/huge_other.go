//go:build !linux

package executor

func preferHuge([]byte) {}

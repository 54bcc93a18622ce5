//go:build !linux

package main

import (
	"syscall"
	"testing"
)

// A disk that can be full is only where a test may mount one.
type disk struct{}

func (*disk) folder(t *testing.T) string { return t.TempDir() }

func (c *chaos) fill(j *job) { c.hit(j, syscall.SIGKILL) }

func (*chaos) room() {}

func (*chaos) hitRank(j *job, sig syscall.Signal) { j.cmd.Process.Signal(sig) } //nolint:errcheck // there are none

func (*chaos) ranksGone(*job) {}

//go:build !linux

package transport

import (
	"runtime"
	"time"
)

func nap(d time.Duration) { time.Sleep(d) }

func yield() { runtime.Gosched() }

//go:build !linux

package transport

import "time"

// CanShare reports whether bells can be shared between processes here.
const CanShare = false

// RingWord is not there.
func RingWord(*uint32) {}

func waitWord(*uint32, time.Duration) bool { return false }

//go:build !linux

package difftest

import "time"

const guard = 0

func reserve(n uint64) []byte { return make([]byte, n) }

func commit(all []byte, n uint64) []byte { return all[:n] }

func release([]byte) {}

// touched calls do with each page of memory.
func touched(memory []byte, do func(at int, page []byte)) {
	const page = 4096
	for at := 0; at < len(memory); at += page {
		do(at, memory[at:min(len(memory), at+page)])
	}
}

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }

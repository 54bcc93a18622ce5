//go:build mpi

package mpi

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is that of another process on this node.
type memory struct {
	pid    int
	local  [1]unix.Iovec
	remote [1]unix.RemoteIovec
}

// read fills b with what is at an address there.
func (m *memory) read(b []byte, from uint64) error { return m.copy(unix.ProcessVMReadv, b, from) }

// write puts b to an address there.
func (m *memory) write(to uint64, b []byte) error { return m.copy(unix.ProcessVMWritev, b, to) }

func (m *memory) copy(call func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), b []byte, there uint64) error {
	for len(b) > 0 {
		m.local[0] = unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
		m.remote[0] = unix.RemoteIovec{Base: uintptr(there), Len: len(b)}
		n, err := call(m.pid, m.local[:], m.remote[:], 0)
		m.local[0].Base = nil
		if err != nil {
			return fmt.Errorf("copying from or to the memory of process %d: %w", m.pid, err)
		}
		b, there = b[n:], there+uint64(n)
	}
	return nil
}

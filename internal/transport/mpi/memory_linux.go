//go:build mpi

package mpi

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is that of another process on this node.
type memory struct{ pid int }

// read fills b with what is at an address there.
func (m memory) read(b []byte, from uint64) error { return m.copy(false, b, from) }

// write puts b to an address there.
func (m memory) write(to uint64, b []byte) error { return m.copy(true, b, to) }

func (m memory) copy(write bool, b []byte, there uint64) error {
	for len(b) > 0 {
		local := [1]unix.Iovec{{Base: unsafe.SliceData(b), Len: uint64(len(b))}}
		remote := [1]unix.RemoteIovec{{Base: uintptr(there), Len: len(b)}}
		var n int
		var err error
		if write {
			n, err = unix.ProcessVMWritev(m.pid, local[:], remote[:], 0)
		} else {
			n, err = unix.ProcessVMReadv(m.pid, local[:], remote[:], 0)
		}
		if err != nil {
			return fmt.Errorf("copying from or to the memory of process %d: %w", m.pid, err)
		}
		b, there = b[n:], there+uint64(n)
	}
	return nil
}

//go:build mpi

package mpi

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wordStep is how far the words of two ranks are apart, in bytes: a cache line,
// so that they do not disturb each other.
const wordStep = 64

// bells are the words of the ranks' bells, in memory that all ranks of the node
// share. It stays mapped to the end of the process, since a bell may be rung late.
type bells struct {
	fd     int // on the root; it goes to each worker
	memory []byte
}

// newBells makes the root's.
func newBells(size int) (*bells, error) {
	fd, err := unix.MemfdCreate("wasmpool-bells", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("mpi: making memory for the bells: %w", err)
	}
	n := size * wordStep
	if err := unix.Ftruncate(fd, int64(n)); err != nil {
		return nil, errors.Join(fmt.Errorf("mpi: making memory for the bells: %w", err), unix.Close(fd))
	}
	b, err := mapBells(fd, n)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	b.fd = fd
	return b, nil
}

func mapBells(fd, n int) (*bells, error) {
	memory, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mpi: mapping the bells: %w", err)
	}
	return &bells{memory: memory}, nil
}

// word returns the word of a rank's bell.
func (b *bells) word(rank int) *uint32 {
	return (*uint32)(unsafe.Pointer(&b.memory[rank*wordStep]))
}

// place returns where a rank shows its CPU, next to its bell. No CPU is 0.
func (b *bells) place(rank int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b.memory[rank*wordStep+4]))
}

// looks returns where the root shows whether it looks: 1 for yes.
func (b *bells) looks() *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&b.memory[8])) }

// thisCPU returns a number for the CPU that this thread runs on, from 1, or 0 when the
// system does not tell.
func thisCPU() uint32 {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0
	}
	return cpu + 1
}

// send hands the memory to a worker.
func (b *bells) send(conn net.Conn) error {
	_, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(b.fd), nil)
	return err
}

// receiveBells takes the memory that the root sent.
func receiveBells(conn net.Conn, size int) (*bells, error) {
	var one [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(one[:], rights)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("mpi: the root sent no bells (%d messages): %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("mpi: the root sent %d bells: %w", len(fds), err)
	}
	defer unix.Close(fds[0]) //nolint:errcheck // the mapping stays
	return mapBells(fds[0], size*wordStep)
}

// close ends what only the start needs.
func (b *bells) close() error { return unix.Close(b.fd) }

package difftest

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guard is the address space on both sides of a memory that nothing may touch: as far
// as an address and an offset reach. So an access that should have been a trap ends the
// process, and is a find.
const guard = 8 << 30

func reserve(n uint64) []byte {
	all, err := unix.Mmap(-1, 0, int(guard+n+guard), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return all
}

func commit(all []byte, n uint64) []byte {
	part := all[guard : guard+n : guard+n]
	if n > 0 && unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE) != nil {
		return nil
	}
	return part
}

func release(all []byte) { _ = unix.Munmap(all) } // it was mapped

// touched calls do with each page of memory that was ever written to.
func touched(memory []byte, do func(at int, page []byte)) {
	const page = 4096
	seen := make([]byte, (len(memory)+page-1)/page)
	if len(memory) > 0 {
		_, _, e := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&seen[0])))
		if e != 0 {
			for i := range seen {
				seen[i] = 1
			}
		}
	}
	for i, there := range seen {
		if there&1 != 0 {
			do(i*page, memory[i*page:min(len(memory), (i+1)*page)])
		}
	}
}

// cpuTime returns what this process has computed.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

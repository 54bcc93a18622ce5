package mem

import (
	"fmt"
	"sync"
)

// loans are what the root has lent.
type loans struct {
	mu   sync.Mutex
	open map[uint32][]byte
}

// add makes a loan. Its address holds its id and where in it the address is.
func (l *loans) add(id uint32, data []byte) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[id] = data
	return (uint64(id) + 1) << 32
}

func (l *loans) end(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
}

// read copies from an address.
func (l *loans) read(dst []byte, at uint64) error {
	id, from := uint32(at>>32)-1, at&(1<<32-1)
	l.mu.Lock()
	data, ok := l.open[id]
	l.mu.Unlock()
	if !ok || from+uint64(len(dst)) > uint64(len(data)) {
		return fmt.Errorf("mem: %d bytes at %#x are not lent", len(dst), at)
	}
	copy(dst, data[from:])
	return nil
}

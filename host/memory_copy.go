//go:build !linux

package host

// growSpace returns usable space of n bytes, more than old has, with what is in old,
// which may be nil and is not used any more.
func growSpace(old []byte, n uint64) ([]byte, error) {
	space, err := mapSpace(n)
	if err != nil {
		return nil, err
	}
	copy(space, old)
	if old != nil {
		releaseSpace(old)
	}
	return space, nil
}

// zeroSpace makes space zero.
func zeroSpace(part []byte) { clear(part) }

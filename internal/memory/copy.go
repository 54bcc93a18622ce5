package memory

// Copy is the built-in for data of any length. The built-in itself cannot be interrupted, and for
// gigabytes of memory that is not there yet takes as long as a rank may be silent.
func Copy(dst, src []byte) {
	const piece = 4 << 20
	for len(dst) > piece && len(src) > piece {
		copy(dst[:piece], src)
		dst, src = dst[piece:], src[piece:]
	}
	copy(dst, src)
}

// Command golang has the loops that bench/languages measures.
package main

func main() {}

//go:wasmexport primes
func primes(n int32) int32 {
	composite := make([]bool, n+1)
	count := int32(0)
	for i := 2; i <= int(n); i++ {
		if composite[i] {
			continue
		}
		count++
		for j := i * i; j <= int(n); j += i {
			composite[j] = true
		}
	}
	return count
}

//go:wasmexport series
func series(n int32) float64 {
	sum := 0.0
	for i := 1; i <= int(n); i++ {
		sum += 1 / (float64(i) * float64(i))
	}
	return sum
}

//go:wasmexport mix
func mix(n int32) int64 {
	x := uint64(1)
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return int64(x)
}

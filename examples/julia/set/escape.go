package set

import "math"

// far is the square of the distance beyond which a point has escaped, 2^16. It
// is larger than need be, which makes the colours smooth.
const (
	far     = 1 << log2Far
	log2Far = 16
)

// Escape reports whether z leaves for infinity within that many iterations of
// z² + c, and after how many. The number has a fraction, so that neighbouring
// points differ by little.
//
// It gives the same bits on every machine. For that it writes out the
// conversions that keep a compiler from fusing a multiplication with an
// addition, and stays away from math.Log.
func Escape(z, c complex128, iterations uint32) (t float64, escapes bool) {
	x, y := real(z), imag(z)
	for n := range iterations {
		xx, yy := float64(x*x), float64(y*y)
		if d := xx + yy; d >= far {
			return float64(n) - log2(log2(min(d, math.MaxFloat64))/log2Far), true
		}
		x, y = xx-yy+real(c), float64(2*x*y)+imag(c)
	}
	return 0, false
}

// log2 is the logarithm of x >= 1, exact at powers of two and linear between
// them.
func log2(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	return float64(exponent) + float64(2*fraction) - 2
}

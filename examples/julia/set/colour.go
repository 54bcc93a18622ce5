package set

import "math"

// A Colour is red, green and blue, 0 to 255 each.
type Colour [3]uint32

// wheel is gone round as points take longer to escape.
var wheel = [...]Colour{
	{0, 7, 60}, {20, 80, 170}, {235, 250, 255}, {255, 175, 20}, {120, 20, 40},
}

// spokes is how many colours are passed while the time to escape doubles.
const spokes = 1.1

// Point returns the colour of the point z: black in the set, and outside by
// how long it takes to escape.
func Point(z, c complex128, iterations uint32) Colour {
	t, escapes := Escape(z, c, iterations)
	if !escapes {
		return Colour{}
	}
	whole, part := math.Modf(float64(spokes * log2(1+max(t, 0))))
	from := wheel[int(whole)%len(wheel)]
	to := wheel[(int(whole)+1)%len(wheel)]
	var mixed Colour
	for i := range mixed {
		mixed[i] = uint32(float64(float64(from[i])*(1-part)) + float64(float64(to[i])*part) + 0.5)
	}
	return mixed
}

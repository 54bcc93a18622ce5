package set

import (
	"encoding/binary"
	"fmt"
)

// A Row names one row of a picture of the Julia set of z² + C, and is the
// argument of the task. The picture is centred on 0; Reach is the distance from
// there to its left and right edges.
type Row struct {
	Width, Height uint32
	Iterations    uint32 // after which a point counts as one of the set
	Y             uint32 // from the top
	Reach         float64
	C             complex128
}

// side bounds the pictures, so that a wrong argument does not take for ever.
const side = 1 << 16

// Encode returns the row in 40 bytes.
func (r Row) Encode() ([]byte, error) { return binary.Append(nil, binary.LittleEndian, r) }

// Decode is the inverse of Encode. It returns an error for a row that cannot be
// drawn.
func Decode(data []byte) (Row, error) {
	var r Row
	if want := binary.Size(r); len(data) != want {
		return Row{}, fmt.Errorf("a row takes %d bytes, got %d", want, len(data))
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &r); err != nil {
		return Row{}, err
	}
	return r, r.Validate()
}

// Validate reports what keeps a row from being drawn.
func (r Row) Validate() error {
	switch {
	case r.Width == 0 || r.Height == 0 || r.Width > side || r.Height > side:
		return fmt.Errorf("the picture is %d x %d, want 1 to %d each", r.Width, r.Height, side)
	case r.Y >= r.Height:
		return fmt.Errorf("no row %d in a picture of height %d", r.Y, r.Height)
	case r.Iterations == 0:
		return fmt.Errorf("no iterations, want at least 1")
	}
	return nil
}

// samples is the number of points, in each direction, that a pixel is the
// average of.
const samples = 2

// Pixels draws the row and returns three bytes per pixel: red, green, blue.
//
// The points lie symmetrically around 0, exactly: as (-z)² = z², so does the
// picture.
func (r Row) Pixels() []byte {
	pixels := make([]byte, 0, 3*r.Width)
	for x := range r.Width {
		var sum Colour
		for i := range uint32(samples * samples) {
			p := Point(r.at(samples*x+i%samples, samples*r.Y+i/samples), r.C, r.Iterations)
			sum = Colour{sum[0] + p[0], sum[1] + p[1], sum[2] + p[2]}
		}
		for _, s := range sum {
			pixels = append(pixels, byte(s/(samples*samples)))
		}
	}
	return pixels
}

// at returns the point in the middle of a cell of the grid that has samples
// times the picture's width and height.
func (r Row) at(x, y uint32) complex128 {
	step := r.Reach / float64(samples*r.Width) // half a cell
	re := float64(2*int64(x) + 1 - samples*int64(r.Width))
	im := float64(samples*int64(r.Height) - 2*int64(y) - 1)
	return complex(float64(re*step), float64(im*step))
}

//go:build !unix

package host

import "math"

// openAtOnce is nothing where no folder holds a pipe.
const openAtOnce = 0

// mostDescriptors returns how many files this process may have open: as many as memory
// allows.
func mostDescriptors() int64 { return math.MaxInt64 }

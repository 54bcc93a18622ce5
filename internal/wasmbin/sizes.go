package wasmbin

import "fmt"

// MaxSize is how many bytes a module may have.
const MaxSize = 256 << 20

const (
	maxCustom = 1000    // custom sections
	maxName   = 100_000 // bytes of a name
)

// A bound is how long a list may be, so that a module cannot make its reader allocate
// many times the module's size. Real modules stay below: the largest that were tried
// have 58 MB, 620,000 functions and 75,000 exports.
type bound struct {
	what string
	most int
	hint string // what to do
}

var (
	maxTypes    = bound{"types", 100_000, ""}
	maxParams   = bound{"parameters of a function", 1000, ""}
	maxResults  = bound{"results of a function", 1000, ""}
	maxImports  = bound{"imports", 10_000, ""}
	maxFuncs    = bound{"functions", 1_000_000, ""}
	maxMemories = bound{"memories", 100, ""}
	maxExports  = bound{"exports", 100_000, ": export nothing but tasks"}
)

// CheckSize returns an error for a module that is too large.
func CheckSize(bytes int64) error {
	if bytes > MaxSize {
		return fmt.Errorf("it has %d bytes, the limit is %d: leave debug information out, and large data to the calls", bytes, MaxSize)
	}
	return nil
}

package executor

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
)

// ballast is memory, in bytes, that a process with an executor holds and never touches,
// so that it takes address space only. It makes the garbage collector wait for about as
// much garbage: a root lives on little memory and makes much garbage, results, and
// would spend a third of its time collecting. See RATIONALE.md, "Why does an
// executor hold memory that it never touches?".
const ballast = 64 << 20

// holdBallast makes the process hold the ballast from now on, unless the user has set
// GOGC or GOMEMLIMIT, and so chosen how to collect.
var holdBallast = sync.OnceValue(func() []byte {
	if os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return make([]byte, ballast)
})

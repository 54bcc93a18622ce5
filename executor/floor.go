package executor

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
)

// heapFloor is memory that a process with an executor holds and never touches, so that it
// takes address space only. It makes the garbage collector wait for about as much
// garbage: a root lives on little memory and makes much garbage, results, and
// would spend a third of its time collecting. See RATIONALE.md, "Why does an
// executor hold memory that it never touches?".
const heapFloor = 64 << 20

// holdFloor makes the process hold the memory from now on, unless the user has
// chosen how to collect.
var holdFloor = sync.OnceValue(func() []byte {
	if os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return make([]byte, heapFloor)
})

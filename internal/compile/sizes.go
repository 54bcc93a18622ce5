package compile

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// The bounds of a module that the compiler sees, beside those of package wasmbin on what it
// reads at all. Real modules stay below: the largest function of most Go programs has some
// 50 KB and 20 locals, and a switch of 400 cases, or Go's own compiler, some 7,700 blocks in
// each other. But a few hundred KB of nested blocks or branch targets keep the compiler busy
// for a minute, and 30 bytes that declare four billion locals end its process.
const (
	mostFunctions   = 1_000_000
	mostGlobals     = 100_000
	mostTables      = 64
	mostSegments    = 100_000 // of elements, and of data
	mostBody        = 1 << 20 // bytes of a function
	mostLocals      = 50_000  // of a function
	mostDepth       = 10_000  // blocks in each other
	mostBranchTable = 65_520  // targets of one br_table
)

// What [Rules.AllowLarge] raises: the bounds that real modules were seen to reach. The others are ten times what the largest
// has, or what the engine takes at all.
const (
	largeGlobals  = 1_000_000
	largeSegments = 1_000_000
	largeBody     = 16 << 20
	largeChild    = 8 // times what compiling a module may take
)

// raises says how a bound is raised.
const raises = "AllowLarge (--allow-large) of who runs the pool raises it to %d%s"

// checkBounds says which parts of a module are too large.
func checkBounds(m *wasmbin.Module, s *meter.Shape, large bool) (problems []string) {
	for _, part := range []struct {
		what       string
		size, most uint64
		large      uint64 // the bound of large modules
	}{
		{"functions", uint64(len(m.Funcs)), mostFunctions, mostFunctions},
		{"memories", uint64(len(m.Memories)), 1, 1},
		{"globals", uint64(s.Globals), mostGlobals, largeGlobals},
		{"tables", uint64(s.Tables), mostTables, mostTables},
		{"table entries", s.Table, meter.MostTable, meter.MostTable},
		{"element segments", uint64(s.Elements), mostSegments, largeSegments},
		{"data segments", uint64(s.Data), mostSegments, largeSegments},
		{"bytes in one function", uint64(s.Body), mostBody, largeBody},
		{"locals in one function", s.Locals, mostLocals, mostLocals},
		{"blocks in each other", uint64(s.Depth), mostDepth, mostDepth},
		{"targets of a br_table", uint64(s.BranchTable), mostBranchTable, mostBranchTable},
	} {
		most := part.most
		if large {
			most = part.large
		}
		if part.size <= most {
			continue
		}
		problem := fmt.Sprintf("it has %d %s, the limit is %d", part.size, part.what, most)
		if part.size <= part.large {
			problem += ": " + fmt.Sprintf(raises, part.large, "")
		}
		problems = append(problems, problem)
	}
	return problems
}

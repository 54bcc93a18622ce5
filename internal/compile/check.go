package compile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Offers are the signatures of the functions that modules may import, by module and name,
// as [wasmbin.FuncType] prints them: "(i32, i32) -> i32".
type Offers map[string]map[string]string

// Rules say which modules may run, besides what holds for all.
type Rules struct {
	// MemoryLimit bounds, in bytes, the linear memory with which a module may start. It
	// is at most [MaxMemory].
	MemoryLimit uint64

	// Offers are the functions that a module may import.
	Offers Offers

	// AllowLarge raises the bounds on the sizes of modules, and on what compiling one may take: see sizes.go.
	AllowLarge bool

	// StubImports lets a module import functions that nobody offers, which trap when they are called.
	StubImports bool
}

// Check refuses what [Gate] and [Rewrite] refuse. It runs and compiles nothing. The error
// is a [BadModuleError].
func Check(wasm []byte, rules Rules) error {
	m, err := Gate(wasm, rules)
	if err != nil {
		return err
	}
	_, err = readCode(wasm, m, rules)
	return err
}

// Gate is the first step of the pipeline: it parses a module and refuses what cannot run
// here, before the engine sees it. The error, a [BadModuleError], lists all that is
// wrong, but for the code, which [Rewrite] reads.
func Gate(wasm []byte, rules Rules) (*wasmbin.Module, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, badModule("%w", err)
	}
	var problems []string
	for _, p := range checkImports(rules, m) {
		problems = add(problems, p)
	}
	for _, e := range m.Exports {
		problems = add(problems, checkExport(e))
	}
	for _, l := range m.Memories {
		problems = add(problems, checkMemory(l, rules.MemoryLimit))
	}
	if len(problems) > 0 {
		return nil, badModule("%s", list(problems))
	}
	return m, nil
}

// mostProblem is how many bytes of a problem the error tells: a problem holds names of
// the module, which may be long.
const mostProblem = 300

func add(problems []string, p string) []string {
	if p == "" {
		return problems
	}
	if len(p) > mostProblem {
		p = strings.ToValidUTF8(p[:mostProblem], "") + "…"
	}
	return append(problems, p)
}

// list joins problems, of very many only the first.
func list(problems []string) string {
	const most = 20
	if n := len(problems); n > most {
		problems = append(problems[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(problems, "; ")
}

// checkExport says that a name is not for modules to export, or "": the pipeline adds
// exports of such names.
func checkExport(e wasmbin.Export) string {
	if e.Name == meter.Fuel || strings.HasPrefix(e.Name, globalPrefix) {
		return fmt.Sprintf("it exports %s, a name that is wasmpool's own", e.Name)
	}
	return ""
}

// checkMemory says what is wrong with a memory, "" for nothing.
func checkMemory(l wasmbin.Limits, limit uint64) string {
	switch {
	case l.Wide:
		return "it has a 64-bit memory: build it for wasm32"
	case l.Shared:
		return "it has a memory shared between threads: a task runs on one, build it without threads"
	case l.Min > limit/wasmbin.PageSize:
		return StartsAbove(l.Min*wasmbin.PageSize, limit)
	}
	return ""
}

// StartsAbove says that a module starts with more memory than it may have, both in bytes.
func StartsAbove(start, limit uint64) string {
	return fmt.Sprintf("it starts with %s of memory, the limit is %s", MemorySize(start), MemorySize(limit))
}

// MemorySize prints a number of bytes exactly, in MiB if they are whole pages.
func MemorySize(n uint64) string {
	if n%wasmbin.PageSize != 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', -1, 64) + " MiB"
}

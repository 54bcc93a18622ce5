package difftest

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Fences are what keeps known holes shut. Those that are true are left out.
type Fences struct {
	Select     bool // a corrected table of the engine
	Memory     bool // the bound on memories
	Validation bool // the module is validated as it came
	Exceptions bool // exceptions are off
	References bool // typed function references are off
	Order      bool // the other corrected table
	Remedies   bool // what is written for instructions that the compiler gets wrong
	Count      bool // not a fence: a fault is planted in the count
}

// A bench checks modules, one at a time.
type bench struct {
	engines       *engines
	features      uint64 // what generated modules may have
	memory        uint64 // the most
	without       Fences
	leaveOut      Parts
	specification *specification // nil: none
	stats         Stats
}

// Stats are what was done.
type Stats struct {
	Modules uint64 // run
	Calls   uint64 // of each run
	Refused uint64 // by the gate
	Mutants uint64 // whose acceptance was compared
	Invalid uint64 // of these
	Finds   uint64
}

func (s *Stats) add(t Stats) {
	s.Modules += t.Modules
	s.Calls += t.Calls
	s.Refused += t.Refused
	s.Mutants += t.Mutants
	s.Invalid += t.Invalid
	s.Finds += t.Finds
}

const allMemory = 1<<32 - pageSize

func newBench(ctx context.Context, without Fences) (*bench, error) {
	b := &bench{without: without, features: uint64(compile.Features), memory: compile.MaxMemory}
	if without.Memory {
		b.memory = allMemory
	}
	features := compile.Features
	if without.Exceptions {
		features |= experimental.CoreFeaturesExceptionHandling
	}
	if without.References {
		features |= experimental.CoreFeaturesTypedFunctionReferences | experimental.CoreFeaturesTailCall
	}
	var err error
	b.engines, err = newEngines(ctx, features, b.memory)
	return b, err
}

// A find is a fault that was found.
type find struct {
	kind string // of a few, by which a shrunk module is known to show the same
	text string
}

func (f find) String() string { return f.kind + ": " + f.text }

// checkAcceptance compares whether the engine takes the module as it is and behind the
// pipeline, and returns what the pipeline made of it: nil if it is not to be run.
func (b *bench) checkAcceptance(ctx context.Context, wasm []byte) (p *prepared, f *find) {
	b.stats.Mutants++
	made := prepare(ctx, wasm, b.without, b.memory)
	if made.refused { // and may be too large for the engine
		b.stats.Refused++
		return nil, nil
	}
	padded, valid := b.valid(ctx, wasm)
	if valid != nil {
		b.stats.Invalid++
	}
	after := made.err
	if after == nil {
		_, after = b.valid(ctx, made.wasm)
	}
	switch {
	case valid != nil && after == nil:
		return nil, &find{"accepted", fmt.Sprintf("a module that is not valid is accepted: %v", valid)}
	case valid == nil && after != nil:
		return nil, &find{"refused", fmt.Sprintf("a valid module is refused: %v", after)}
	case valid != nil, padded:
		return nil, nil
	}
	return &made, nil
}

// checkRefused looks that a module of a proposal that is off does not pass.
func (b *bench) checkRefused(ctx context.Context, wasm []byte) *find {
	b.stats.Mutants++
	if p := prepare(ctx, wasm, b.without, b.memory); p.err == nil {
		return &find{"accepted", "a module of a proposal that is off is accepted"}
	}
	b.stats.Invalid++
	return nil
}

// compareEngines compares the two engines, with a module that is not rewritten.
func (b *bench) compareEngines(ctx context.Context, wasm []byte, seed uint64) *find {
	if padded, err := b.valid(ctx, wasm); err != nil || padded {
		return nil
	}
	b.stats.Modules++
	a := &side{name: "interpreter", runtime: b.engines.interpreter}
	c := &side{name: "compiler", runtime: b.engines.compiler}
	for _, s := range []*side{a, c} {
		s.outcome = b.engines.run(ctx, s.runtime, wasm, nil, seed)
		b.stats.Calls += uint64(len(s.outcome.counts))
	}
	return compare(a, c, whole)
}

// valid asks the engine whether a module is valid. Compiling it for the interpreter is
// the part that checks it; a module that makes it panic is not valid. Whether it gets that
// far in host, behind the gate, is seen when it is prepared.
//
// An instruction that begins with 0xfc may be padded: its number takes more bytes than it needs.
// That is valid, but the interpreter cannot read it, so the compiler is asked, and the
// module cannot be run by both.
func (b *bench) valid(ctx context.Context, wasm []byte) (padded bool, err error) {
	if announcesTooMuch(wasm) {
		return false, errNotRead
	}
	err = compiles(ctx, b.engines.interpreter, wasm)
	if err != nil && strings.Contains(err.Error(), "unsupported misc instruction in interpreterir") {
		return true, compiles(ctx, b.engines.compiler, wasm)
	}
	return false, err
}

// compiles returns why the engine refuses the module, nil if it does not.
func compiles(ctx context.Context, engine wazero.Runtime, wasm []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the engine panics: %v", r)
		}
	}()
	m, err := engine.CompileModule(ctx, wasm)
	if err != nil {
		return err
	}
	return m.Close(ctx)
}

// A side is a way of running a module.
type side struct {
	name    string
	runtime wazero.Runtime
	wasm    []byte
	outcome outcome
}

// check compares all about a module. nan says that it may store NaNs of any kind.
func (b *bench) check(ctx context.Context, wasm []byte, seed uint64, nan bool) *find {
	p, f := b.checkAcceptance(ctx, wasm)
	if p == nil {
		return f
	}
	if m, err := wasmbin.Parse(wasm); err != nil || !runs(m) {
		return nil
	}
	b.stats.Modules++
	compiler, interpreter := b.engines.compiler, b.engines.interpreter
	sides := []*side{
		{name: "rewritten compiler", runtime: compiler, wasm: p.wasm},
		{name: "interpreter", runtime: interpreter, wasm: wasm},
		{name: "compiler", runtime: compiler, wasm: wasm},
		{name: "rewritten interpreter", runtime: interpreter, wasm: p.wasm},
	}
	if p.reset != nil {
		sides = append(sides, &side{name: "reset", runtime: compiler, wasm: p.reset})
	}
	wasm = boundTables(wasm)
	counted, short, err := truth(wasm)
	if err != nil {
		return &find{"truth", err.Error()}
	}
	sides[1].wasm, sides[2].wasm = wasm, wasm
	if !b.without.Remedies {
		if sides[2].wasm, err = withoutKnown(wasm); err != nil {
			return &find{"truth", err.Error()}
		}
	}
	exact := &side{name: "truth", runtime: compiler, wasm: counted}
	for _, s := range append(sides, exact) {
		s.outcome = b.engines.run(ctx, s.runtime, s.wasm, short, seed)
		if s.outcome.err != nil {
			return &find{"does not compile", fmt.Sprintf("%s: %v", s.name, s.outcome.err)}
		}
		if s.outcome.budget {
			return nil // nothing of it is compared: it would run for ever
		}
	}
	b.stats.Calls += uint64(len(exact.outcome.counts))
	for _, s := range append(sides, exact) {
		against := sides[1]
		if nan && s.runtime == compiler { // what NaNs it stores is up to the engine
			against = sides[2]
		}
		if f := compare(against, s, whole); f != nil {
			return f
		}
	}
	if f := compare(sides[1], sides[2], results); f != nil {
		return f
	}
	return compareCounts(sides, exact, seed)
}

// runs reports whether the bench can run the module: it has no imports but those that
// the bench offers.
func runs(m *wasmbin.Module) bool {
	for _, i := range m.Imports {
		if i.Module != "wasi_snapshot_preview1" || i.Name != "random_get" {
			return false
		}
	}
	return len(m.Exports) > 0
}

// compare compares what two runs showed, up to where one ran out of stack: how much
// there is, is up to the engine.
func compare(a, b *side, part func(string) string) *find {
	for i := range max(len(a.outcome.lines), len(b.outcome.lines)) {
		if i == a.outcome.deep || i == b.outcome.deep {
			return nil
		}
		if i >= len(a.outcome.lines) || i >= len(b.outcome.lines) || part(a.outcome.lines[i]) != part(b.outcome.lines[i]) {
			return &find{"differs: " + b.name, fmt.Sprintf("%s gives\n  %s\n%s gives\n  %s", a.name, line(a.outcome.lines, i), b.name, line(b.outcome.lines, i))}
		}
	}
	return nil
}

// The parts of what a run showed of a call: all, or what has no NaNs of any kind, which
// are up to the engine. Vectors may have them.
func whole(line string) string { return line }

func results(line string) string {
	before, _, _ := strings.Cut(line, stateMark)
	var words []string
	for _, w := range strings.Fields(before) {
		if !strings.HasPrefix(w, vectorMark) {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

// compareCounts compares what the rewritten runs counted, with each other and with the
// truth. A call that traps in a function that holds its fuel in a local counts less by
// what that was since the last tick.
func compareCounts(sides []*side, exact *side, seed uint64) *find {
	first := sides[0]
	for i, c := range first.outcome.counts {
		for _, s := range sides {
			if strings.HasPrefix(s.name, "re") && i < len(s.outcome.counts) && s.outcome.counts[i].n != c.n && first.outcome.deep < 0 && s.outcome.deep < 0 {
				return &find{"counts differ", fmt.Sprintf("%s: %s counts %d, %s %d", first.outcome.lines[i], first.name, c.n, s.name, s.outcome.counts[i].n)}
			}
		}
		if i >= len(exact.outcome.counts) || first.outcome.deep >= 0 || exact.outcome.deep >= 0 {
			continue
		}
		t := exact.outcome.counts[i]
		slack := t.allowed
		if t.trapped {
			slack += grantOf(seed)
		}
		if t.short {
			slack += shortFunction
		}
		if c.n < t.n-slack {
			return &find{"undercount", fmt.Sprintf("%s: counts %d of %d instructions, of which %d need not be counted", first.outcome.lines[i], c.n, t.n, slack)}
		}
	}
	return nil
}

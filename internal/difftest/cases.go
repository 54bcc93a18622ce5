package difftest

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// A step is one module of those that follow from a seed.
type step struct {
	name string
	tree *tree // it can be shrunk
	wasm []byte

	run      bool // and not only asked whether it is valid
	nan      bool // it may store NaNs of any kind
	proposal bool // it has what is off
}

// How many modules follow from a seed.
const (
	mutantsOfGenerated = 16
	ofSpecification    = 8
)

// The names of modules of proposals.
const (
	exceptionsStep = "exceptions"
	referencesStep = "references"
)

// Parts are what a bench does. Each that is true is left out.
type Parts struct {
	Generated     bool
	Specification bool
	Mutants       bool // of both
	Proposals     bool // modules of what is off
}

// eachStep calls do with the modules of a seed, in the same order each time.
func (b *bench) eachStep(seed uint64, do func(step)) {
	if !b.leaveOut.Generated {
		b.generated(seed, do)
	}
	if b.specification != nil && !b.leaveOut.Specification {
		b.specified(seed, do)
	}
	if !b.leaveOut.Proposals {
		do(step{name: exceptionsStep, wasm: exceptions(seed), proposal: true})
		do(step{name: referencesStep, wasm: references(seed), proposal: true})
	}
}

func (b *bench) generated(seed uint64, do func(step)) {
	m := generate(seed, b.features)
	wasm := m.encode()
	do(step{name: "generated", tree: m, wasm: wasm, run: true})
	tight := pressed(seed, b.features, pressedOps)
	do(step{name: "pressed", tree: tight, wasm: tight.encode(), run: true})
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range mutantsOfGenerated {
		if b.leaveOut.Mutants {
			return
		}
		do(step{name: fmt.Sprint("mutant ", i), wasm: mutate(r, wasm), run: i%8 == 0, nan: true})
	}
}

func (b *bench) specified(seed uint64, do func(step)) {
	r := rand.New(rand.NewPCG(seed, 6))
	s := b.specification
	for i := range ofSpecification {
		at := r.IntN(len(s.names))
		wasm := s.modules[at]
		name := fmt.Sprint(i, " ", s.names[at])
		if i > 0 && !b.leaveOut.Mutants {
			wasm, name = mutate(r, wasm), name+", a mutant"
		}
		do(step{name: name, wasm: wasm, run: i < 2, nan: true})
	}
}

// do checks one module.
func (b *bench) do(ctx context.Context, s step, seed uint64) *find {
	switch {
	case s.proposal && (s.name == exceptionsStep && b.without.Exceptions || s.name == referencesStep && b.without.References):
		return b.compareEngines(ctx, s.wasm, seed)
	case s.proposal:
		return b.checkRefused(ctx, s.wasm)
	case s.run:
		return b.check(ctx, s.wasm, seed, s.nan)
	}
	_, f := b.checkAcceptance(ctx, s.wasm)
	return f
}

// shrunk returns a smaller module that shows the same.
func (s step) shrunk(tries int, shows func(wasm []byte) bool) []byte {
	if s.tree != nil {
		return shrink(s.tree, tries, func(m *tree) bool { return shows(m.encode()) }).encode()
	}
	return shrinkBytes(s.wasm, shows)
}

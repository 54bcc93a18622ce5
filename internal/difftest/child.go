package difftest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// childEnv holds, for the child, its order.
const childEnv = "WASMPOOL_DIFFTEST_CHILD"

// An order is what a child does: the modules of Seeds seeds from First on, each
// Stride-th, or one module from its standard input.
type order struct {
	First, Stride, Seeds uint64
	Without              Fences
	LeaveOut             Parts
	OldCPU               bool
	Tries                int // to shrink a find

	One      bool // the module from standard input, with the seed First
	Name     string
	NaN      bool
	Proposal bool
}

// A report is a line that a child writes: before each module, and of each find.
type report struct {
	Seed  uint64
	Step  string
	CPU   time.Duration
	Stats Stats
	Done  bool `json:",omitempty"`

	Find  string `json:",omitempty"` // its kind
	Text  string `json:",omitempty"`
	Wasm  []byte `json:",omitempty"` // as it was found
	Small []byte `json:",omitempty"` // shrunk
}

// Child does the work of a child process, if this is one, and returns true then. A
// program that calls Main calls it first.
func Child() bool {
	text := os.Getenv(childEnv)
	if text == "" {
		return false
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.do(context.Background(), os.Stdin, os.Stdout)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n") //nolint:errcheck // there is nobody else to tell
		os.Exit(2)
	}
	return true
}

func (o *order) do(ctx context.Context, in io.Reader, out io.Writer) error {
	if o.OldCPU && runtime.GOARCH == "amd64" {
		setOldCPU()
	}
	setTables(o.Without)
	b, err := newBench(ctx, o.Without)
	if err != nil {
		return err
	}
	defer b.engines.close(ctx)
	b.leaveOut = o.LeaveOut
	w := json.NewEncoder(out)
	if o.One {
		wasm, err := io.ReadAll(bufio.NewReader(in))
		if err != nil {
			return err
		}
		return o.one(ctx, b, step{name: o.Name, wasm: wasm, run: true, nan: o.NaN, proposal: o.Proposal}, w)
	}
	if !o.LeaveOut.Specification {
		if b.specification, err = readSpecification(ctx); err != nil {
			return err
		}
	}
	for i := range o.Seeds {
		seed := o.First + i*o.Stride
		b.eachStep(seed, func(s step) {
			if err == nil {
				err = o.step(ctx, b, s, seed, w)
			}
		})
		if err != nil {
			return err
		}
	}
	return w.Encode(report{Done: true, CPU: cpuTime(), Stats: b.stats})
}

// step checks one module, and shrinks it if it is a find.
func (o *order) step(ctx context.Context, b *bench, s step, seed uint64, w *json.Encoder) error {
	if err := w.Encode(report{Seed: seed, Step: s.name, CPU: cpuTime(), Stats: b.stats}); err != nil { // should it end the process
		return err
	}
	f := b.do(ctx, s, seed)
	if f == nil {
		return nil
	}
	b.stats.Finds++
	kept, whole := b.stats, s.wasm
	small := s.shrunk(o.Tries, func(wasm []byte) bool {
		s.wasm, s.tree = wasm, nil
		g := b.do(ctx, s, seed)
		return g != nil && g.kind == f.kind && sameReason(f, g)
	})
	b.stats = kept
	return w.Encode(report{Seed: seed, Step: s.name, Find: f.kind, Text: f.text, Wasm: whole, Small: small, CPU: cpuTime(), Stats: b.stats})
}

// sameReason keeps the shrinker from going from one wrong acceptance to another.
func sameReason(f, g *find) bool {
	reason := func(text string) string { return text[strings.LastIndexByte(text, ':')+1:] }
	return f.kind != "accepted" && f.kind != "refused" || reason(f.text) == reason(g.text)
}

func (o *order) one(ctx context.Context, b *bench, s step, w *json.Encoder) error {
	r := report{Seed: o.First, Done: true}
	if f := b.do(ctx, s, o.First); f != nil {
		r.Find, r.Text = f.kind, f.text
	}
	return w.Encode(r)
}

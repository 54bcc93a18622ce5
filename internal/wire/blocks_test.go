package wire_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// blocks are what tests send: one call, several, and as many as there may be.
var blocks = [][][]byte{
	{[]byte("alone")},
	{[]byte("a"), {}, []byte("longer"), make([]byte, 300)},
	make([][]byte, wire.MaxBlock),
}

// blockCall is the call that the block with that index begins with.
func blockCall(i int) wire.Call {
	return wire.Call{Number: math.MaxUint32 + uint64(i), Ticket: uint32(i), Task: 7, Attempt: 3}
}

// blocksFrame has the blocks, and an ordinary call behind each.
func blocksFrame() []byte {
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	for i, args := range blocks {
		c := blockCall(i)
		w.AddBlock(&c, args)
		w.AddCall(&calls[i])
	}
	return w.Frame()
}

// blockResult is the result that the block with that index begins with.
func blockResult(i int) wire.Result {
	return wire.Result{Ticket: uint32(i), Gen: math.MaxUint32, Nanos: int64(i), Data: bytes.Join(blocks[i], nil)}
}

// resultBlocksFrame has the blocks as results, and an ordinary one behind each.
func resultBlocksFrame() []byte {
	var w wire.Writer
	w.Reset(wire.TypeResults)
	for i, data := range blocks {
		res, lens := blockResult(i), make([]uint16, len(data))
		for k := range data {
			lens[k] = uint16(len(data[k]))
		}
		w.AddResults(&res, lens)
		w.AddResult(&results[i])
	}
	return w.Frame()
}

// numbers returns lengths as AddResults takes them.
func numbers(l wire.Lengths) []uint16 {
	list := make([]uint16, l.Len())
	for i := range list {
		list[i] = uint16(l.At(i))
	}
	return list
}

// apart returns what a row is made of.
func apart(l wire.Lengths, row []byte) [][]byte {
	list := make([][]byte, l.Len())
	for i := range list {
		list[i], row = row[:l.At(i)], row[l.At(i):]
	}
	return list
}

// Blocks of calls arrive as they were sent, between calls that are ordinary.
func TestBlocksRoundTrip(t *testing.T) {
	t.Parallel()
	got, err := decodeCalls(t, blocksFrame())
	if err != nil || len(got) != 2*len(blocks) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, args := range blocks {
		b, want := got[2*i], blockCall(i)
		want.Count, want.Lens, want.Arg = len(args), b.Lens, bytes.Join(args, nil)
		want.ArgLen = int64(len(want.Arg))
		if diff := cmp.Diff(want, b); diff != "" || b.Lens.Len() != len(args) {
			t.Error(diff, b.Lens.Len())
		}
		for k, arg := range apart(b.Lens, b.Arg) {
			if !bytes.Equal(arg, args[k]) {
				t.Errorf("block %d has the argument %q, want %q", i, arg, args[k])
			}
		}
		if diff := cmp.Diff(calls[i], got[2*i+1]); diff != "" {
			t.Error(diff)
		}
	}
}

// Blocks of results arrive as they were sent, between results that are ordinary, and with no
// more data than is known before they are read.
func TestResultBlocksRoundTrip(t *testing.T) {
	t.Parallel()
	frame := resultBlocksFrame()
	got, err := decodeResults(t, frame)
	if err != nil || len(got) != 2*len(blocks) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	data := 0
	for i, list := range blocks {
		b, want := got[2*i], blockResult(i)
		want.Count, want.Lens, want.Len = len(list), b.Lens, int64(len(want.Data))
		if diff := cmp.Diff(want, b); diff != "" || b.Lens.Len() != len(list) {
			t.Error(diff, b.Lens.Len())
		}
		if diff := cmp.Diff(results[i], got[2*i+1]); diff != "" {
			t.Error(diff)
		}
		data += len(b.Data) + len(got[2*i+1].Data)
	}
	if most := wire.DataLen(len(got), frame[wire.HeaderLen:]); data > most {
		t.Errorf("the frame has %d bytes of data, DataLen says %d", data, most)
	}
}

// A block takes as many bytes as was said before.
func TestBlockSize(t *testing.T) {
	t.Parallel()
	for i, list := range blocks {
		var w wire.Writer
		w.Reset(wire.TypeCalls)
		c := blockCall(i)
		w.AddBlock(&c, list)
		if got, want := w.Len()-wire.HeaderLen, wire.BlockSize(len(list), len(slices.Concat(list...))); got != want {
			t.Errorf("block %d takes %d bytes, BlockSize says %d", i, got, want)
		}
		res := blockResult(i)
		w.Reset(wire.TypeResults)
		w.AddResults(&res, make([]uint16, len(list)))
		if got, want := w.Len()-wire.HeaderLen, wire.ResultsSize(len(list), res.Data); got != want {
			t.Errorf("block %d takes %d bytes of results, ResultsSize says %d", i, got, want)
		}
	}
}

// Lengths can be cut, and summed.
func TestLengths(t *testing.T) {
	t.Parallel()
	l := wire.Lengths{1, 0, 2, 0, 0, 3}
	if l.Len() != 3 || l.At(2) != 768 || l.Sum(0, 3) != 771 || l.Sum(1, 1) != 0 {
		t.Errorf("%d lengths, the last %d, together %d", l.Len(), l.At(2), l.Sum(0, 3))
	}
	if s := l.Slice(1, 2); s.Len() != 1 || s.At(0) != 2 || l.Slice(3, 3).Len() != 0 {
		t.Errorf("a part is % x", s)
	}
}

// No block is read that says two things at once, or of which the lengths are not those of what
// is there.
func TestBadBlocks(t *testing.T) {
	t.Parallel()
	// Where a call has its flags, and a result; and behind both of them a block.
	const callFlags, resultFlags, fixed, block = wire.HeaderLen + 22, wire.HeaderLen + 12, 24, 1 << 3
	one := func(results bool) []byte {
		var w wire.Writer
		if results {
			w.Reset(wire.TypeResults)
			w.AddResults(&wire.Result{Data: []byte("abc")}, []uint16{1, 2})
		} else {
			w.Reset(wire.TypeCalls)
			w.AddBlock(&wire.Call{Number: 1}, [][]byte{[]byte("a"), []byte("bc")})
		}
		return w.Frame()
	}
	decode := func(results bool, at int, value byte) error {
		frame := one(results)
		frame[at] = value
		if results {
			_, err := decodeResults(t, frame)
			return err
		}
		_, err := decodeCalls(t, frame)
		return err
	}
	for _, results := range []bool{false, true} {
		if err := decode(results, 0, wire.Version); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			at    int
			value byte
		}{{0, 0}, {0, 1}, {0, 3}, {1, 5}, {1, 255}, {2, 0}, {2, 2}, {4, 1}, {5, 1}} {
			if decode(results, wire.HeaderLen+fixed+c.at, c.value) == nil {
				t.Errorf("results %t: a block of which byte %d is %d is read", results, c.at, c.value)
			}
		}
	}
	for _, other := range []byte{1, 2, 4, 7} {
		if decode(false, callFlags, block|other) == nil {
			t.Errorf("a block of calls with the flags %#x is read", other)
		}
	}
	for bit := range 6 {
		if decode(true, resultFlags, 1<<6|1<<bit) == nil {
			t.Errorf("a block of results with flag %d is read", bit)
		}
	}
	if decode(true, resultFlags+4+7, 0x80) == nil {
		t.Error("a block of results that ran for a negative time is read")
	}
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	w.AddBlock(&wire.Call{Number: 1}, make([][]byte, wire.MaxBlock+1))
	if _, err := decodeCalls(t, w.Frame()); err == nil {
		t.Errorf("a block of %d calls is read", wire.MaxBlock+1)
	}
	for n := range fixed + 9 {
		if _, err := decodeCalls(t, one(false)[:wire.HeaderLen+n]); err == nil {
			t.Errorf("a block that is cut behind %d bytes is read", n)
		}
	}
}

// BenchmarkBlock measures what a call in a block costs on its way, in nanoseconds.
func BenchmarkBlock(b *testing.B) {
	const calls = 100
	args := make([][]byte, calls)
	for i := range args {
		args[i] = make([]byte, 8)
	}
	for _, what := range []string{"encode", "decode"} {
		b.Run(fmt.Sprintf("%s/calls=%d", what, calls), func(b *testing.B) {
			var w wire.Writer
			c := wire.Call{Number: 1}
			for b.Loop() {
				if what == "encode" || w.Len() == 0 {
					w.Reset(wire.TypeCalls)
					w.AddBlock(&c, args)
				}
				if what == "decode" {
					r := wire.NewReader(1, w.Frame()[wire.HeaderLen:])
					if !r.NextCall(&c) {
						b.Fatal(r.Err())
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
		})
	}
}

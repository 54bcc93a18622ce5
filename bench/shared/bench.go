package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

//go:generate wat2wasm guest.wat -o guest.wasm

//go:embed guest.wasm
var guest []byte

const (
	// readLen is how many bytes a call reads, as the guest has it.
	readLen = 4096

	// mostCompiled is how much data there is room for in the guest's memory, in MiB.
	mostCompiled = 240
)

// A bench is what is measured.
type bench struct {
	mib, mibCompiled int // of the shared input, and of what is compiled in
	calls, rounds    int
	dir              string // the nodes' store
	seed             uint64 // of the data: each 8 bytes are their place and this

	compiled, shared, again, first, moved []time.Duration // of each round
}

func (b *bench) run(ctx context.Context, ex *executor.Executor) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	inside, err := wasmtasks.Load("inside", b.withData())
	if err != nil {
		return err
	}
	bare, err := wasmtasks.Load("bare", guest)
	if err != nil {
		return err
	}
	if err := errors.Join(ex.Load(inside), ex.Load(bare), ex.WaitReady(ctx)); err != nil {
		return err
	}
	// All slots have their instances before anything is measured.
	if _, _, err := b.read(ctx, ex, "inside.compiled", b.mibCompiled); err != nil {
		return err
	}
	before, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	memory := memoryOf(before)
	for i := range b.rounds {
		took, _, err := b.read(ctx, ex, "inside.compiled", b.mibCompiled)
		if err != nil {
			return err
		}
		b.compiled = append(b.compiled, took)
		if err := b.round(ctx, ex, len(nodes(before)), i%2 == 0); err != nil {
			return err
		}
	}
	return b.report(ctx, ex, memory)
}

// round measures a shared input that no node has yet, and the plain transfer before it or after it.
func (b *bench) round(ctx context.Context, ex *executor.Executor, nodes int, before bool) error {
	file, err := b.file()
	defer os.Remove(file) //nolint:errcheck // the folder goes, too
	if err != nil {
		return err
	}
	plain := func() error {
		if err := b.settle(); err != nil {
			return err
		}
		moved, err := moveTo(ctx, nodes, file, b.dir)
		b.moved = append(b.moved, moved)
		return err
	}
	if before {
		if err := plain(); err != nil {
			return err
		}
	}
	in, err := ex.Share(ctx, executor.FromFile(file))
	if err != nil {
		return err
	}
	if err := b.settle(); err != nil {
		return err
	}
	with := executor.With("in", in)
	shared, first, err := b.read(ctx, ex, "bare.shared", b.mib, with)
	if err != nil {
		return err
	}
	again, _, err := b.read(ctx, ex, "bare.shared", b.mib, with)
	b.shared, b.first, b.again = append(b.shared, shared), append(b.first, first), append(b.again, again)
	if err == nil && !before {
		err = plain()
	}
	return err
}

// file writes new data into a file.
func (b *bench) file() (name string, err error) {
	b.seed = rand.Uint64()
	file, err := os.CreateTemp(b.dir, "input")
	if err != nil {
		return "", err
	}
	for i := range b.mib {
		if _, err := file.Write(b.data(i<<20, 1<<20)); err != nil {
			return file.Name(), errors.Join(err, file.Close())
		}
	}
	return file.Name(), file.Close()
}

// settle has all that was written reach the disk, so that a transfer does not wait for what the one before has left to do.
func (b *bench) settle() error {
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil {
		return err
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// data returns n bytes of the data at a place.
func (b *bench) data(at, n int) []byte {
	data := make([]byte, 0, n)
	for end := at + n; at < end; at += 8 {
		data = binary.LittleEndian.AppendUint64(data, uint64(at)+b.seed)
	}
	return data
}

// withData returns the guest with so much data compiled in: a data section of its own, in place of the last one.
func (b *bench) withData() []byte {
	length := b.mibCompiled << 20
	segment := []byte{2, 0, 0x41, 0x90, 0x08, 0x0b, 2, 'i', 'n'}  // two, and that of the guest: "in" at 1040
	segment = append(segment, 0, 0x41, 0x80, 0x80, 0x04, 0x0b)    // i32.const 65536
	segment = binary.AppendUvarint(segment, uint64(length))       // how long it is
	at := bytes.LastIndex(guest, []byte{11, 9, 1, 0, 0x41, 0x90}) // where the guest's section begins
	module := append(slices.Clone(guest[:at]), 11)
	module = binary.AppendUvarint(module, uint64(len(segment)+length))
	return append(append(module, segment...), b.data(0, length)...)
}

// read has calls read at random places, checks what they give, and returns how long all of them took, and the first.
func (b *bench) read(ctx context.Context, ex *executor.Executor, task string, mib int, opts ...executor.MapOption) (all, first time.Duration, err error) {
	places := make([]int, b.calls)
	for i := range places {
		places[i] = rand.IntN(mib<<17-readLen/8) * 8
	}
	began, n := time.Now(), 0
	for got, err := range ex.Map(ctx, task, arguments(places), opts...) {
		if err != nil {
			return 0, 0, err
		}
		if n == 0 {
			first = time.Since(began)
		}
		if at := places[n]; len(got) != readLen || binary.LittleEndian.Uint64(got) != uint64(at)+b.seedOf(task) {
			return 0, 0, fmt.Errorf("the call that read at %d got %d bytes that are not there", at, len(got))
		}
		n++
	}
	return time.Since(began), first, nil
}

// seedOf is that of what a task reads: what is compiled in has none.
func (b *bench) seedOf(task string) uint64 {
	if strings.HasSuffix(task, ".compiled") {
		return 0
	}
	return b.seed
}

func arguments(places []int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, at := range places {
			if !yield(binary.LittleEndian.AppendUint64(nil, uint64(at))) {
				return
			}
		}
	}
}

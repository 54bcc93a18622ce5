package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// A load is a list of calls of one task that take real time. It can be run on
// the pool and, to compare, in a serial loop of the worker's code. Two such
// loops in two processes at once are the best that two cores can do.
type load struct {
	export string
	args   func(n int) [][]byte
}

var (
	juliaLoad = load{"julia", juliaArgs}
	mixedLoad = load{"burn", mixedArgs}
)

// The Julia set: rows that take 0.7 to 2 ms.
const (
	juliaRows       = 600
	juliaWidth      = 6000
	juliaIterations = 100
)

// juliaArgs returns the arguments for a picture of n rows.
func juliaArgs(n int) [][]byte {
	args := make([][]byte, n)
	for y := range args {
		for _, v := range []int{y, juliaWidth, n, juliaIterations} {
			args[y] = binary.LittleEndian.AppendUint32(args[y], uint32(v))
		}
	}
	return args
}

// The mixed load: of a hundred calls one takes about 100 ms, the others about
// 10 µs.
const (
	mixedCalls = 4000
	longSteps  = 75_000_000
	shortSteps = 7_500
)

// mixedArgs returns n arguments of burn, the long ones at places that are
// random but always the same.
func mixedArgs(n int) [][]byte {
	args := make([][]byte, n)
	for i := range args {
		steps := uint64(shortSteps)
		if i%100 == 0 {
			steps = longSteps
		}
		args[i] = binary.LittleEndian.AppendUint64(nil, steps)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(n, func(i, j int) { args[i], args[j] = args[j], args[i] })
	return args
}

// measureLoad returns a function that maps a load: calls a second.
func measureLoad(l load) func(context.Context, *pool, int) ([]float64, error) {
	return func(ctx context.Context, p *pool, n int) ([]float64, error) {
		args := l.args(n)
		start := time.Now()
		for _, err := range p.ex.Map(ctx, p.task(l.export), slices.Values(args)) {
			if err != nil {
				return nil, err
			}
		}
		return perSecond(n, time.Since(start)), nil
	}
}

// measureSerial returns a function that runs a load in this process, one call
// after the other, without a pool: calls a second.
func measureSerial(l load) func(context.Context, *pool, int) ([]float64, error) {
	return func(ctx context.Context, p *pool, n int) (_ []float64, err error) {
		h, err := host.New(host.Config{})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		m, err := h.Load(ctx, p.guest)
		if err != nil {
			return nil, err
		}
		task, err := m.Task(l.export)
		if err != nil {
			return nil, err
		}
		slot := h.NewSlot()
		defer func() { err = errors.Join(err, slot.Close()) }()
		args := l.args(n)
		start := time.Now()
		for i, arg := range args {
			if _, err := slot.Run(ctx, task, &host.Call{Number: uint64(i + 1), Attempt: 1, Arg: arg, ArgLen: int64(len(arg))}); err != nil {
				return nil, err
			}
		}
		return perSecond(n, time.Since(start)), nil
	}
}

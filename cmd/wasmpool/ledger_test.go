package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// Each call's input comes back once, to whoever takes it, in whatever order, while others are put; and blocks are used again.
func TestLedger(t *testing.T) {
	t.Parallel()
	const calls, takers, ahead = 20_000, 3, 500
	l := newLedger()
	open := make(chan int64, ahead)
	var taking sync.WaitGroup
	for seed := range uint64(takers) {
		taking.Go(func() {
			taker, rnd := l.taker(), rand.New(rand.NewPCG(seed, 0))
			var late []int64
			take := func(call int64) {
				e, text := taker.take(call)
				want := fmt.Sprint(call)
				if call%3 > 0 {
					want = ""
				}
				if e != (entry{2 * call, digest(call)}) || string(text) != want {
					t.Errorf("call %d is of %v, %q", call, e, text)
				}
			}
			for call := range open {
				if late = append(late, call); len(late) == ahead/10 {
					rnd.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
					for _, call := range late[10:] {
						take(call)
					}
					late = late[:10]
				}
			}
			for _, call := range late {
				take(call)
			}
		})
	}
	for call := range int64(calls) {
		var text []byte
		if call%3 == 0 {
			text = fmt.Append(nil, call)
		}
		l.put(call, entry{2 * call, digest(call)}, text)
		open <- call
	}
	close(open)
	taking.Wait()
	if len(l.blocks) > 1 || len(l.spares) > 2*takers*ahead/10 { // calls end within a block
		t.Errorf("%d blocks are left, and %d to use again", len(l.blocks), len(l.spares))
	}
	for _, b := range l.spares {
		if texts := b.texts.Load(); texts != nil && len(bytes.Join(texts[:], nil)) > 0 {
			t.Fatal("a text is kept whose call was taken")
		}
	}
}

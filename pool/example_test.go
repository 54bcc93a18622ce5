package pool_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strconv"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/pool"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// run gives an example a pool.
func run(use func(ctx context.Context, p *pool.Pool) error) {
	cfg := executor.Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}}
	if err := pool.Run(context.Background(), cfg, use); err != nil {
		log.Fatal(err)
	}
}

func ExamplePool_ApplyAsync() {
	run(func(ctx context.Context, p *pool.Pool) error {
		r := p.ApplyAsync(ctx, "square", []byte("5"), pool.Callback(func(b []byte) { fmt.Printf("callback: %s\n", b) }))
		return r.Wait(ctx)
	})
	// Output: callback: 25
}

func ExamplePool_StarMap() {
	run(func(ctx context.Context, p *pool.Pool) error {
		sums, err := p.StarMap(ctx, "sum", [][]any{{1, 2}, {3, 4, 5}})
		fmt.Printf("%s\n", sums)
		return err
	})
	// Output: [3 12]
}

func ExamplePool_MapAsync() {
	run(func(ctx context.Context, p *pool.Pool) error {
		squares, err := p.MapAsync(ctx, "square", [][]byte{[]byte("3"), []byte("4")}).Get(ctx)
		fmt.Printf("%s\n", squares)
		return err
	})
	// Output: [9 16]
}

func ExamplePool_IMap() {
	run(func(ctx context.Context, p *pool.Pool) error {
		for square, err := range p.IMap(ctx, "square", slices.Values([][]byte{[]byte("3"), []byte("4")})).All(ctx) {
			fmt.Printf("%s %v\n", square, err)
		}
		return nil
	})
	// Output:
	// 9 <nil>
	// 16 <nil>
}

func ExamplePool_IMapUnordered() {
	run(func(ctx context.Context, p *pool.Pool) error {
		sum := 0
		for square, err := range p.IMapUnordered(ctx, "square", slices.Values([][]byte{[]byte("3"), []byte("4")})).All(ctx) {
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(square))
			if err != nil {
				return err
			}
			sum += n
		}
		fmt.Println(sum)
		return nil
	})
	// Output: 25
}

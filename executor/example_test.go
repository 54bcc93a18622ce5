package executor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/wasmpool/wasmpool/executor"
)

// Run works in any shape: here alone, without MPI.
func ExampleRun() {
	err := executor.Run(context.Background(), executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
		if err := ex.Load(tasks); err != nil {
			return err
		}
		out, err := ex.Call(ctx, "square", []byte("12"))
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", out)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 144
}

func ExampleLocal() {
	ctx := context.Background()
	ex, err := executor.Local(executor.Config{RootSlots: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer ex.Shutdown(ctx)
	if err := ex.Load(tasks); err != nil {
		log.Fatal(err)
	}
	first := ex.Submit(ctx, "square", []byte("3"))
	second := ex.Submit(ctx, "square", []byte("4"))
	for _, f := range []*executor.Future{first, second} {
		out, err := f.Result(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", out)
	}
	// Output:
	// 9
	// 16
}

// One failing element fails only itself.
func ExampleExecutor_Map() {
	ctx := context.Background()
	ex, err := executor.Local(executor.Config{RootSlots: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer ex.Shutdown(ctx)
	if err := ex.Load(tasks); err != nil {
		log.Fatal(err)
	}
	args := [][]byte{[]byte("3"), []byte("three"), []byte("4")}
	for out, err := range ex.Map(ctx, "square", slices.Values(args)) {
		var failed *executor.TaskError
		if errors.As(err, &failed) {
			fmt.Println("failed:", failed.Kind)
			continue
		}
		fmt.Printf("%s\n", out)
	}
	// Output:
	// 9
	// failed: bad_input
	// 16
}

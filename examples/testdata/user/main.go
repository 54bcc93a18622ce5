// Command user is a program of another module than wasmpool's. It runs a task
// of its own.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func main() {
	if err := executor.Run(context.Background(), executor.Config{}, root); err != nil {
		log.Fatal(err)
	}
}

func root(ctx context.Context, ex *executor.Executor) error {
	tasks, err := wasmtasks.Build(ctx, "tasks")
	if err != nil {
		return err
	}
	if err := ex.Load(tasks); err != nil {
		return err
	}
	out, err := ex.Call(ctx, "hypot", []byte(`{"a": 3, "b": 4}`))
	if err != nil {
		return err
	}
	fmt.Printf("hypot: %s\n", out)
	return nil
}

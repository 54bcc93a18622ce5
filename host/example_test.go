package host_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func Example() {
	if err := example(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 42
	// bad_input: not a number
}

func example(ctx context.Context) error {
	m, err := wasmtasks.Build(ctx, "testdata/guest")
	if err != nil {
		return err
	}
	h, err := host.New(host.Config{})
	if err != nil {
		return err
	}
	defer h.Close()
	mod, err := h.Load(ctx, m)
	if err != nil {
		return err
	}
	double, err := mod.Task("double")
	if err != nil {
		return err
	}
	fail, err := mod.Task("fail")
	if err != nil {
		return err
	}

	slot := h.NewSlot() // one for each goroutine that runs calls
	defer slot.Close()
	result, err := slot.Run(ctx, double, &host.Call{Number: 1, Attempt: 1, Arg: []byte("21")})
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", result)

	_, err = slot.Run(ctx, fail, &host.Call{Number: 2, Attempt: 1, Arg: []byte("input")})
	var e *host.Error
	if errors.As(err, &e) {
		fmt.Printf("%v: %s\n", e.Kind, e.Message)
	}
	return nil
}

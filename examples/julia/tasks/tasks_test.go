package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/examples/julia/set"
	"github.com/wasmpool/wasmpool/sdk"
)

func TestRow(t *testing.T) {
	t.Parallel()
	r := set.Row{Width: 30, Height: 20, Iterations: 100, Y: 7, Reach: 1.6, C: complex(-0.8, 0.156)}
	arg, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := sdk.Trial{Arg: arg}.Run(row)
	if err != nil || !bytes.Equal(got, r.Pixels()) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, 3*r.Width)
	}
}

func TestRowOfNothing(t *testing.T) {
	t.Parallel()
	_, err := sdk.Trial{Arg: []byte("no row")}.Run(row)
	var failed *sdk.Error
	if !errors.As(err, &failed) || failed.Code != 3 {
		t.Errorf("%v, want bad input", err)
	}
}

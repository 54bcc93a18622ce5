// Command tasks holds the tasks that the command's tests run.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// Square returns x times x.
//
//go:wasmexport square
func square() int32 { return sdk.JSON(func(x float64) (float64, error) { return x * x, nil }) }

// Echo returns its argument.
//
//go:wasmexport echo
func echo() int32 { return sdk.Bytes(func(arg []byte) ([]byte, error) { return arg, nil }) }

// Mixed returns what its argument names: results of all kinds.
//
//go:wasmexport mixed
func mixed() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		switch string(arg) {
		case "nothing":
			return nil, nil
		case "object":
			return []byte("{ \"a\": [1, 2.50],\n \"b\": \"<\u00e9>\" }\n"), nil
		case "text":
			return []byte("say \"hi\"\n\tto <caf\u00e9>\x01"), nil
		case "binary":
			return []byte{0xff, 0x00, 0xfe}, nil
		}
		return arg, nil
	})
}

// Temper does what its argument says, which is mostly to fail.
//
//go:wasmexport temper
func temper() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		switch string(arg) {
		case "error":
			return nil, errors.New("no such star\nin this sky")
		case "once":
			if sdk.Attempt() == 1 {
				return nil, errors.New("not at once")
			}
		case "code":
			return nil, &sdk.Error{Code: 70, Message: "seventy"}
		case "bad":
			return nil, sdk.BadInput(errors.New("not a star"))
		case "panic":
			return []byte{arg[len(arg)]}, nil
		case "trap":
			return []byte{*(*byte)(unsafe.Pointer(uintptr(0xfffffff0)))}, nil
		}
		return bytes.ToUpper(arg), nil
	})
}

// Join returns the texts of an array one after the other. It has no place for "?", and at first none for "!".
//
//go:wasmexport join
func join() int32 {
	return sdk.JSON(func(parts []string) (string, error) {
		if slices.Contains(parts, "?") || slices.Contains(parts, "!") && sdk.Attempt() == 1 {
			return "", errors.New("what is it?")
		}
		return strings.Join(parts, ""), nil
	})
}

// Where returns the rank that it runs on.
//
//go:wasmexport where
func where() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) { return fmt.Append(nil, sdk.Rank()), nil })
}

var sink uint64

// Spin computes so many million steps, and returns their number.
//
//go:wasmexport spin
func spin() int32 {
	return sdk.JSON(func(millions int) (int, error) {
		for i := range uint64(millions) * 1e6 {
			sink = sink*6364136223846793005 + i
		}
		return millions, nil
	})
}

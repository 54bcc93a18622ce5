// Command tasks holds the tasks that the executor's tests run.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// Echo returns its argument.
//
//go:wasmexport echo
func echo() int32 { return sdk.Bytes(func(arg []byte) ([]byte, error) { return arg, nil }) }

//go:wasmexport square
func square() int32 { return sdk.JSON(func(x float64) (float64, error) { return x * x, nil }) }

//go:wasmexport none
func none() int32 { return sdk.Bytes(func([]byte) ([]byte, error) { return nil, nil }) }

// Granted returns what the environment says.
//
//go:wasmexport granted
func granted() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) { return []byte(os.Getenv("GRANTED")), nil })
}

//go:wasmexport where
func where() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		return fmt.Appendf(nil, "rank %d, attempt %d", sdk.Rank(), sdk.Attempt()), nil
	})
}

// Sum adds the numbers of a JSON array.
//
//go:wasmexport sum
func sum() int32 {
	return sdk.JSON(func(xs []float64) (total float64, err error) {
		for _, x := range xs {
			total += x
		}
		return total, nil
	})
}

// Third fails until it runs for the third time.
//
//go:wasmexport third
func third() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		if n := sdk.Attempt(); n < 3 {
			return nil, fmt.Errorf("this is attempt %d", n)
		}
		return fmt.Appendf(nil, "attempt %d", sdk.Attempt()), nil
	})
}

//go:wasmexport fail
func fail() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) { return nil, errors.New(string(arg)) })
}

//go:wasmexport coded
func coded() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) { return nil, &sdk.Error{Code: 77, Message: "seventy-seven"} })
}

//go:wasmexport panics
func panics() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) { return []byte{arg[1<<20]}, nil })
}

//go:wasmexport deadlock
func deadlock() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) { select {} })
}

// Odd fails for odd numbers in its argument, a little-endian uint64.
//
//go:wasmexport odd
func odd() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		if n := binary.LittleEndian.Uint64(arg); n%2 == 1 {
			return nil, fmt.Errorf("%d is odd", n)
		}
		return bytes.Clone(arg), nil
	})
}

//go:wasmexport say
func say() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		sdk.Log("%s", arg)
		return nil, nil
	})
}

//go:wasmexport chatter
func chatter() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		for range 3000 {
			sdk.Log("%s", arg)
		}
		return nil, nil
	})
}

var sink uint64

// Burn computes for about as many thousands of steps as its argument says.
//
//go:wasmexport burn
func burn() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		for i := range binary.LittleEndian.Uint64(arg) * 1000 {
			sink = sink*6364136223846793005 + i
		}
		return arg, nil
	})
}

var turns uint64

// Forever never ends.
//
//go:wasmexport forever
func forever() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		for {
			turns++
		}
	})
}

// A Part is bytes of a shared input.
type Part struct {
	Name  string
	At, N int64
}

// Part returns bytes of a shared input.
//
//go:wasmexport part
func part() int32 {
	return sdk.JSON(func(p Part) ([]byte, error) {
		in, err := sdk.Shared(p.Name)
		if err != nil {
			return nil, err
		}
		buf := make([]byte, p.N)
		n, err := in.ReadAt(buf, p.At)
		if err == io.EOF {
			err = nil
		}
		return buf[:n], err
	})
}

// Whole says what a shared input is, by its bytes and by what it says itself.
//
//go:wasmexport whole
func whole() int32 {
	return sdk.Bytes(func(name []byte) ([]byte, error) {
		in, err := sdk.Shared(string(name))
		if err != nil {
			return nil, err
		}
		all := in.Bytes()
		return fmt.Appendf(nil, "%d %x %x", in.Len(), sha256.Sum256(all), in.Digest()), nil
	})
}

// File returns the digest of a file, or the names in a folder.
//
//go:wasmexport file
func file() int32 {
	return sdk.Bytes(func(name []byte) ([]byte, error) {
		info, err := os.Stat(string(name))
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			entries, err := os.ReadDir(string(name))
			return fmt.Append(nil, entries), err
		}
		data, err := os.ReadFile(string(name))
		return fmt.Appendf(nil, "%d %x", info.Size(), sha256.Sum256(data)), err
	})
}

// Told does what the first byte of its argument says: fail, crash, compute for some milliseconds, or return nothing or many
// bytes. Otherwise it returns the argument.
//
//go:wasmexport told
func told() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		switch arg[0] {
		case 'f':
			return nil, errors.New(string(arg))
		case 'c':
			return []byte{arg[1<<20]}, nil
		case 's':
			for i := range uint64(2_000_000) {
				sink = sink*6364136223846793005 + i
			}
		case 'n':
			return nil, nil
		case 'k':
			return bytes.Repeat(arg, 300), nil
		case 'l':
			return bytes.Repeat(arg, 3000), nil
		}
		return bytes.Clone(arg), nil
	})
}

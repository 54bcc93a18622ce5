package sdk

import (
	"encoding/json"
	"errors"
	"unsafe"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// JSON is the body of a task that takes and gives JSON:
//
//	//go:wasmexport distance
//	func distance() int32 { return sdk.JSON(Distance) }
//
//	func Distance(p Point) (float64, error) { … }
//
// It decodes the argument with encoding/json, runs fn, and encodes what fn
// returns. An argument that does not decode is bad input: fn does not run, and
// the call is not tried again. An empty argument is bad input too, unless In
// has no fields, as struct{}. An error of fn, or a panic, fails this call
// only.
//
// Where In and Out are int, int64 or float64 a call costs 0.3 to 0.8 µs and
// allocates nothing; other types pay for encoding/json, which takes 10 µs and
// more for a small struct.
func JSON[In, Out any](fn func(In) (Out, error)) (status int32) {
	status = abi.StatusPanic // as in Bytes
	defer func() {
		if status == abi.StatusPanic {
			panicked(recover())
		}
	}()
	in, err := decode[In](input())
	if err != nil {
		return fail(BadInput(err))
	}
	out, err := fn(in)
	if err != nil {
		return fail(err)
	}
	result, err := encode(&out)
	if err != nil {
		return fail(err)
	}
	return succeed(result)
}

func decode[In any](arg []byte) (In, error) {
	var in In
	if decodeNumber(arg, &in) {
		return in, nil
	}
	if len(arg) == 0 {
		if unsafe.Sizeof(in) == 0 {
			return in, nil
		}
		return in, errors.New("the argument is empty, want JSON")
	}
	return unmarshal[In](arg)
}

// unmarshal is apart from decode, so that only its value escapes to the heap.
// encoding/json draws a seed for each cache and map that it makes, which is more in the
// first call of an instance than in later ones: fn must not see that.
func unmarshal[In any](arg []byte) (In, error) {
	var in In
	var err error
	drawApart(func() { err = json.Unmarshal(arg, &in) })
	return in, err
}

func encode[Out any](out *Out) ([]byte, error) {
	if result, ok := encodeNumber(out); ok {
		return result, nil
	}
	return marshal(*out)
}

func marshal[Out any](out Out) ([]byte, error) { return json.Marshal(out) }

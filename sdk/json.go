package sdk

import (
	"bytes"
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
//
// Of a struct, fields of the argument that In does not have are passed over, as by encoding/json: [StrictJSON] takes them for mistakes.
func JSON[In, Out any](fn func(In) (Out, error)) (status int32) { return runJSON(fn, false) }

// StrictJSON is [JSON] for arguments that must fit: a field that In does not have is bad input, such as a name that is
// misspelt, whose value would be missing otherwise. This holds for structs in structs, too, but not within types that have an UnmarshalJSON
// method of their own. A field that the argument does not have is zero, as ever.
//
// A call costs what it costs with JSON, and for a struct a third more.
func StrictJSON[In, Out any](fn func(In) (Out, error)) (status int32) { return runJSON(fn, true) }

func runJSON[In, Out any](fn func(In) (Out, error), strict bool) (status int32) {
	status = abi.StatusPanic // as in Bytes
	defer func() {
		if status == abi.StatusPanic {
			panicked(recover())
		}
	}()
	in, err := decode[In](input(), strict)
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

func decode[In any](arg []byte, strict bool) (In, error) {
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
	return unmarshal[In](arg, strict)
}

// unmarshal is apart from decode, so that only its value escapes to the heap.
// encoding/json draws a seed for each cache and map that it makes, which is more in the
// first call of an instance than in later ones: fn must not see that.
func unmarshal[In any](arg []byte, strict bool) (In, error) {
	var in In
	var err error
	drawApart(func() {
		if strict {
			err = unmarshalStrictly(arg, &in)
		} else {
			err = json.Unmarshal(arg, &in)
		}
	})
	return in, err
}

func unmarshalStrictly(arg []byte, in any) error {
	var whole json.RawMessage // a Decoder would not look behind the first value
	if err := json.Unmarshal(arg, &whole); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(whole))
	d.DisallowUnknownFields()
	return d.Decode(in)
}

func encode[Out any](out *Out) ([]byte, error) {
	if result, ok := encodeNumber(out); ok {
		return result, nil
	}
	return marshal(*out)
}

func marshal[Out any](out Out) ([]byte, error) { return json.Marshal(out) }

package sdk

import "github.com/wasmpool/wasmpool/internal/abi"

// Bytes is the body of a task that takes and gives bytes:
//
//	//go:wasmexport upper
//	func upper() int32 { return sdk.Bytes(Upper) }
//
// It runs fn on the call's argument. The argument is a view that is valid
// until fn returns; fn may change it, and may return it or a part of it. The
// result is read before the instance's next call; fn must not change it later.
// An error of fn, or a panic, fails this call only: see [Error] and
// [BadInput].
//
// A call costs about 40 ns and no allocation besides what fn does itself, for
// an argument of up to 8000 bytes.
func Bytes(fn func(arg []byte) ([]byte, error)) (status int32) {
	// A panic leaves the status as it is here, so the deferred function needs
	// to call recover only then, which saves a third of the cost.
	status = abi.StatusPanic
	defer func() {
		if status == abi.StatusPanic {
			panicked(recover())
		}
	}()
	result, err := fn(input())
	if err != nil {
		return fail(err)
	}
	return succeed(result)
}

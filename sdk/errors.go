package sdk

import (
	"errors"
	"math"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// An Error is a failure with a code, for callers that must tell failures
// apart. Codes below 64 belong to wasmpool: such an error travels with the
// plain code 1, as any other error does.
//
//	return nil, &sdk.Error{Code: 70, Message: "no such star"}
type Error struct {
	Code    int
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// BadInput marks an error as one of the argument: running the call again is
// no use. A nil error stays nil.
func BadInput(err error) error {
	if err == nil {
		return nil
	}
	return &badInput{err}
}

type badInput struct{ err error }

func (e *badInput) Error() string { return e.err.Error() }
func (e *badInput) Unwrap() error { return e.err }

// fail hands over an error and returns its status.
func fail(err error) int32 {
	writeError(err.Error())
	return statusOf(err)
}

func statusOf(err error) int32 {
	var bad *badInput
	if errors.As(err, &bad) {
		return abi.StatusBadInput
	}
	var coded *Error
	if errors.As(err, &coded) && coded.Code >= abi.StatusUser && coded.Code <= math.MaxInt32 {
		return int32(coded.Code)
	}
	return abi.StatusError
}

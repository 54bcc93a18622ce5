//go:build !wasip1

package sdk

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/abi"
)

//go:noinline
func fifth(list []int) int { return list[5] }

func TestPanic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		fn   func(arg []byte) ([]byte, error)
		want string
	}{
		{"runtime error", func([]byte) ([]byte, error) { return []byte{byte(fifth(make([]int, 3)))}, nil }, "panic: index out of range [5] with length 3"},
		{"nil map", func([]byte) ([]byte, error) { nilMap["a"] = 1; return nil, nil }, "panic: assignment to entry in nil map"},
		{"string", func([]byte) ([]byte, error) { panic("ouch") }, "panic: ouch"},
		{"error", func([]byte) ([]byte, error) { panic(errors.New("ouch")) }, "panic: ouch"},
		{"stringer", func([]byte) ([]byte, error) { panic(time.Second) }, "panic: 1s"},
		{"number", func([]byte) ([]byte, error) { panic(42) }, "panic: 42"},
		{"other", func([]byte) ([]byte, error) { panic(point{}) }, "panic: a value that is neither an error nor a string"},
		{"nil", func([]byte) ([]byte, error) { panic(nil) }, "panic: panic called with nil argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, export := range []func() int32{
				func() int32 { return Bytes(tt.fn) },
				func() int32 { return JSON(func(int) ([]byte, error) { return tt.fn(nil) }) },
			} {
				_, err := Trial{Arg: []byte("1")}.Run(export)
				var got *Error
				if !errors.As(err, &got) || got.Code != abi.StatusPanic {
					t.Fatalf("error %v", err)
				}
				message, stack, _ := strings.Cut(got.Message, "\n\n")
				if !strings.HasPrefix(message, tt.want) {
					t.Errorf("message %q, want %q", message, tt.want)
				}
				checkStack(t, stack)
			}
		})
	}
}

// checkStack holds that a stack begins with the task's function and ends
// before the SDK's.
func checkStack(t *testing.T, stack string) {
	t.Helper()
	first, _, _ := strings.Cut(stack, "(")
	if !strings.HasPrefix(first, "github.com/wasmpool/wasmpool/sdk.TestPanic.func") && !strings.HasSuffix(first, "sdk.fifth") {
		t.Errorf("the stack begins with %s:\n%s", first, stack)
	}
	for _, frame := range []string{"panic(", "runtime.", "sdk.Bytes(", "sdk.JSON[", "sdk.runJSON[", "Trial"} {
		if strings.Contains(stack, frame) {
			t.Errorf("the stack holds %s:\n%s", frame, stack)
		}
	}
}

func TestPanicDeep(t *testing.T) {
	t.Parallel()
	var deep func(n int) int
	deep = func(n int) int {
		if n == 0 {
			panic("bottom")
		}
		return deep(n-1) + 1
	}
	_, err := Trial{}.Run(func() int32 {
		return Bytes(func([]byte) ([]byte, error) { deep(1000); return nil, nil })
	})
	if len(err.Error()) > maxStack+100 || !strings.HasPrefix(err.Error(), "panic: bottom\n\n") {
		t.Errorf("%d bytes: %.100s", len(err.Error()), err)
	}
	if last := err.Error()[strings.LastIndexByte(err.Error(), '\n')+1:]; last != "..." {
		t.Errorf("the stack ends in %q", last)
	}
}

// A task that panics while it panics shows the last panic.
func TestPanicTwice(t *testing.T) {
	t.Parallel()
	_, err := Trial{}.Run(func() int32 {
		return Bytes(func([]byte) ([]byte, error) {
			defer func() { panic("second") }()
			panic("first")
		})
	})
	if err == nil || !strings.HasPrefix(err.Error(), "panic: second\n\n") {
		t.Errorf("error %v", err)
	}
}

var nilMap map[string]int

func TestNoTrial(t *testing.T) {
	defer func() {
		if v, ok := recover().(error); !ok || !errors.Is(v, errNoTrial) {
			t.Errorf("panic %v", v)
		}
	}()
	upper()
}

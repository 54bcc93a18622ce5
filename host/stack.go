package host

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// keepStack is the largest stack of a task that is kept while others run. The engine keeps
// as much for each function as its deepest call took, up to 100 MB.
const keepStack = 1 << 20

// keepKeptStack is the same for a command that is kept, which cannot go on without its stack: interpreters take some megabytes for
// functions that call themselves.
const keepKeptStack = 16 << 20

// A function is an export of an instance.
type function struct {
	api.Function
	stack *[]byte // where the engine has its stack; nil where nobody knows
}

// newFunction looks for the stack of a function, which the engine does not show: a field
// of wazero v1.12.0 has it.
func newFunction(f api.Function) *function {
	if v := reflect.ValueOf(f); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if s := v.Elem().FieldByName("stack"); s.IsValid() && s.Type() == reflect.TypeFor[[]byte]() {
			return &function{f, (*[]byte)(s.Addr().UnsafePointer())}
		}
	}
	return &function{f, nil}
}

// deep reports whether the function holds a large stack, as far as that is known.
func (f *function) deep() bool { return f.stack == nil || f.holds(keepStack) }

// holds reports whether the function is known to hold a stack of more than n bytes.
func (f *function) holds(n int) bool { return f.stack != nil && len(*f.stack) > n }

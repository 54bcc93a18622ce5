package sdk

import (
	"runtime"
	"strconv"
	"strings"
)

// maxStack bounds the stack that travels with a panic.
const maxStack = 8 << 10

// panicked reports the value of a recovered panic. The instance stays usable.
func panicked(v any) {
	if v == nil {
		return // the goroutine was ended by runtime.Goexit
	}
	stack := make([]byte, 2*maxStack)
	stack = stack[:runtime.Stack(stack, false)]
	writeError("panic: " + panicText(v) + "\n\n" + trimStack(string(stack)))
}

// panicText says what was panicked with. It does without package fmt, which
// would make every module a quarter larger.
func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return strings.TrimPrefix(v.Error(), "runtime error: ")
	case string:
		return v
	case interface{ String() string }:
		return v.String()
	case int:
		return strconv.Itoa(v)
	}
	return "a value that is neither an error nor a string"
}

// trimStack keeps the frames of the task: those between the runtime's, which
// raised the panic, and the SDK's, which called the task.
func trimStack(stack string) string {
	if _, after, ok := strings.Cut(stack, "\npanic("); ok {
		stack = skipFrames("panic("+after, "panic(", "runtime.")
	}
	for _, entry := range []string{"sdk.Bytes(", "sdk.runJSON["} {
		if i := strings.Index(stack, "github.com/wasmpool/wasmpool/"+entry); i >= 0 {
			stack = stack[:i]
		}
	}
	if len(stack) > maxStack {
		stack = stack[:maxStack]
		stack = stack[:strings.LastIndexByte(stack, '\n')+1] + "...\n"
	}
	return strings.TrimRight(stack, "\n")
}

// skipFrames drops leading frames of functions with these prefixes. A frame
// is two lines: the call, and where it is.
func skipFrames(stack string, prefixes ...string) string {
	for hasAnyPrefix(stack, prefixes) {
		_, stack, _ = strings.Cut(stack, "\n")
		_, stack, _ = strings.Cut(stack, "\n")
	}
	return stack
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

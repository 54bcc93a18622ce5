package host

import (
	"strings"
	"testing"
)

// The line in which a guest says why it crashed is part of the message.
func TestCrashLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ stderr, want string }{
		"Go":        {"printed\npanic: oh no [recovered]\n\ngoroutine 1 [running]:\n", "trap (panic: oh no [recovered])"},
		"old Rust":  {"thread '<unnamed>' panicked at 'oh no', a.rs:7:5\nnote: run with RUST_BACKTRACE=1\n", "trap (thread '<unnamed>' panicked at 'oh no', a.rs:7:5)"},
		"new Rust":  {"thread '<unnamed>' panicked at a.rs:7:5:\noh no\nnote: run with RUST_BACKTRACE=1\n", "trap (thread '<unnamed>' panicked at a.rs:7:5: oh no)"},
		"C":         {"printed\nAssertion failed: x > 0 (a.c: f: 12)\n", "trap (Assertion failed: x > 0 (a.c: f: 12))"},
		"last line": {"printed\ninteger overflow\n\n", "trap (integer overflow)"},
		"cut":       {"thread 'main' panicked at a.rs:7:5:", "trap (thread 'main' panicked at a.rs:7:5:)"},
		"long":      {"printed\n" + strings.Repeat("x", 300), "trap"},
		"silent":    {"\n", "trap"},
	} {
		if got := withCrashLine("trap", tt.stderr); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

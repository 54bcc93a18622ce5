package executor_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

func TestGuestLog(t *testing.T) {
	t.Parallel()
	var out, messages lockedBuffer
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey {
			fmt.Fprintln(&messages, a.Value)
		}
		return a
	}}
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&out, options))})
	if _, err := ex.Call(t.Context(), "say", []byte("hello from a guest")); err != nil {
		t.Fatal(err)
	}
	// A line may be written when its call has its result.
	lines := func(n int) string {
		eventually(t, fmt.Sprintf("%d lines of the log", n), func() bool { return strings.Count(out.String(), "\n") >= n })
		return out.String()
	}
	if got := lines(1); !strings.Contains(got, "hello from a guest") || !strings.Contains(got, "call=1") {
		t.Errorf("the log is %q", got)
	}
	if _, err := ex.Call(t.Context(), "say", []byte("\x1b]0;title\a\u009b2J\nnext\r")); err != nil {
		t.Fatal(err)
	}
	lines(2)
	if got, want := messages.String(), `\x1b]0;title\a\u009b2J`+"\n"+`next\r`; !strings.Contains(got, want) {
		t.Errorf("the messages are %q, want %q among them: slog's default handler writes them as they are", got, want)
	}
	if _, err := ex.Call(t.Context(), "chatter", []byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := lines(1003); strings.Count(got, "msg=again") != 1000 || strings.Count(got, "left out") != 1 || strings.Count(got, "\n") != 1003 {
		t.Errorf("%d lines, of which %d of 3000 and %d about what was left out", strings.Count(got, "\n"), strings.Count(got, "msg=again"), strings.Count(got, "left out"))
	}
}

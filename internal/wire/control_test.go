package wire

import (
	"strings"
	"testing"
)

func TestShortened(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "short": "short", "exactly te": "exactly te", "more than ten": "more than … (3 bytes more)", strings.Repeat("é", 6) + "!": "ééééé… (3 bytes more)",
		"x" + strings.Repeat("é", 6): "xéééé… (4 bytes more)",
	} {
		if got := Shortened(text, 10); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

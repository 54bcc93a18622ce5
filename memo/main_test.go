package memo_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

var cacheDir string

// rootToKill is what runs in place of the tests in a process that is to be killed; nil where there is none.
var rootToKill func() error

func TestMain(m *testing.M) {
	if rootToKill != nil {
		if err := rootToKill(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(unittest.Main(m, &cacheDir))
}

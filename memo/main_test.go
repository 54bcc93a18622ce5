package memo_test

import (
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

var cacheDir string

func TestMain(m *testing.M) { os.Exit(unittest.Main(m, &cacheDir)) }

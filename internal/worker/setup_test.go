package worker

import (
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

func TestMain(m *testing.M) { os.Exit(unittest.Main(m, &cacheDir)) }

// cacheDir is what the hosts of all tests share.
var cacheDir string

func newHost(t testing.TB) *host.Host {
	t.Helper()
	h, err := host.New(host.Config{CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

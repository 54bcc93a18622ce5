//go:build unix

package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// dirVar names the store of a process that begins to fetch a blob and never ends.
const dirVar = "WASMPOOL_TEST_BLOBS"

var killedData = random(50, 3<<20)

func TestMain(m *testing.M) {
	dir := os.Getenv(dirVar)
	if dir == "" {
		os.Exit(m.Run())
	}
	s := NewStore(dir, 1<<30, slog.New(slog.DiscardHandler))
	_, err := s.Open(context.Background(), sha256.Sum256(killedData), int64(len(killedData)), func(_ context.Context, to io.Writer) error {
		_, err := to.Write(killedData[:2<<20])
		os.Stdout.WriteString("half\n") //nolint:errcheck // the parent looks
		time.Sleep(time.Hour)
		return err
	})
	os.Stderr.WriteString(err.Error()) //nolint:errcheck // it is about to end
	os.Exit(1)
}

// A process that is killed while it fetches leaves the blob to those that wait for it.
func TestKilledWhileFetching(t *testing.T) {
	t.Parallel()
	s := newStore(t, 1<<30)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), dirVar+"="+s.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "half\n" {
		t.Fatal(line, err)
	}
	var fetched atomic.Int64
	got := make(chan *Blob)
	for range 3 {
		go func() {
			b, err := s.Open(t.Context(), sha256.Sum256(killedData), int64(len(killedData)), giving(killedData, &fetched))
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
	}
	select {
	case <-got:
		t.Error("somebody does not wait for the process that fetches")
	case <-time.After(200 * time.Millisecond):
	}
	must(t, cmd.Process.Kill())
	cmd.Wait() //nolint:errcheck // it was killed
	for range 3 {
		b := <-got
		holds(t, b, killedData)
		if b.Bytes() != nil {
			t.Error("the blob is in memory")
		}
		b.Close()
	}
	if fetched.Load() != 1 {
		t.Errorf("fetched %d times", fetched.Load())
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "*"+tempSuffix)); len(left) > 0 || err != nil {
		t.Error(left, err)
	}
}

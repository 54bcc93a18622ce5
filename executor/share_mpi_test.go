//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

const (
	// shareVar has the length of the shared input of TestShareOnRanks, in MiB.
	shareVar = "WASMPOOL_TEST_SHARE"

	// shareDirVar names the folder of the node's store.
	shareDirVar = "WASMPOOL_TEST_SHARE_DIR"
)

// sharedFile returns the name of a new file of so many MiB, each 8 bytes of which are their number.
func sharedFile(mib int) (string, error) {
	file, err := os.CreateTemp("", "wasmpool-shared")
	if err != nil {
		return "", err
	}
	buf := make([]byte, 1<<20)
	for i := range mib {
		for at := 0; at < len(buf); at += 8 {
			copy(buf[at:], number(i<<20+at))
		}
		if _, err := file.Write(buf); err != nil {
			return file.Name(), err
		}
	}
	return file.Name(), file.Close()
}

// readOnRanks has calls read 4 KiB each at random places.
func readOnRanks(ctx context.Context, ex *executor.Executor) error {
	if err := ex.Load(tasks); err != nil {
		return err
	}
	if err := ex.WaitReady(ctx); err != nil {
		return err
	}
	var mib int
	fmt.Sscan(os.Getenv(shareVar), &mib) //nolint:errcheck // the test sets it
	name, err := sharedFile(mib)
	defer os.Remove(name)
	if err != nil {
		return err
	}
	b, err := ex.Share(ctx, executor.FromFile(name))
	if err != nil {
		return err
	}
	places := make([]int, 10_000)
	for i := range places {
		places[i] = rand.IntN(mib<<17-512) * 8
	}
	args := func(yield func([]byte) bool) {
		for _, at := range places {
			if !yield(partOf("in", at, 4096)) {
				return
			}
		}
	}
	begin := time.Now()
	first, n := time.Duration(0), 0
	for got, err := range ex.Map(ctx, "part", args, executor.With("in", b)) {
		if err != nil {
			return err
		}
		if n == 0 {
			first = time.Since(begin)
		}
		data, err := unquoted(got)
		if err != nil || len(data) != 4096 || !bytes.HasPrefix(data, number(places[n])) || !bytes.HasSuffix(data, number(places[n]+4088)) {
			return fmt.Errorf("call %d got %d wrong bytes: %w", n, len(data), err)
		}
		n++
	}
	all := time.Since(begin)
	stats, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	lost, memory := 0, ""
	for _, w := range stats.Workers {
		if w.Lost {
			lost++
		}
		memory += fmt.Sprintf(" %d", anonymous(w.PID)>>20)
	}
	fmt.Printf("%d calls, sent %.2f times, %d lost, first after %v, all after %v, MiB of memory of workers:%s\n", n, float64(stats.Shared)/float64(b.Len()), lost, first, all, memory)
	return nil
}

// anonymous returns how many bytes of memory a process has for itself.
func anonymous(pid int) (bytes int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			fmt.Sscan(rest, &bytes) //nolint:errcheck // 0 then
		}
	}
	return bytes << 10
}

// TestShareOnRanks has three ranks of a node read one shared input, which the root sends once. stress/survive kills
// ranks meanwhile.
func TestShareOnRanks(t *testing.T) {
	const mib = 64
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := mpitest.Command(ctx, t, 4, mpitest.Tests(t))
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", fmt.Sprintf("%s=%d", shareVar, mib), shareDirVar+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, "10000 calls, sent 1.00 times, 0 lost") {
		t.Errorf("%v\n%s", err, text)
	} else {
		t.Log(text)
	}
}

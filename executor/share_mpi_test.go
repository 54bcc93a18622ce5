//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

const (
	// shareVar has the length of the shared input of TestShareOnRanks, in MiB.
	shareVar = "WASMPOOL_TEST_SHARE"

	// shareKillVar says which worker is killed while that travels: the "giver", which fetches it for the node, or "another" one.
	shareKillVar = "WASMPOOL_TEST_SHARE_KILL"

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

// readOnRanks has calls read 4 KiB each at random places, and may kill a worker meanwhile.
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
	killed := make(chan error, 1)
	go func() { killed <- killWhileShared(ctx, ex, os.Getenv(shareKillVar), int64(mib)<<20) }()
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
	if err := <-killed; err != nil {
		return err
	}
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

// killWhileShared kills a worker when a part of the shared input has left.
func killWhileShared(ctx context.Context, ex *executor.Executor, kill string, size int64) error {
	for kill != "" {
		stats, err := ex.Stats(ctx)
		if err != nil {
			return err
		}
		if stats.Shared >= uint64(size) {
			return errors.New("it was too late to kill a worker")
		}
		for _, w := range stats.Workers {
			if stats.Shared > 0 && writes(w.PID) == (kill == "giver") {
				return syscall.Kill(w.PID, syscall.SIGKILL)
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// writes reports whether a process has a file of the store open that is not whole.
func writes(pid int) bool {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(links, func(link string) bool {
		name, err := os.Readlink(link)
		return err == nil && strings.HasPrefix(name, os.Getenv(shareDirVar)) && strings.HasSuffix(name, ".tmp")
	})
}

// runShare runs readOnRanks on the root of some ranks, and returns what it prints.
func runShare(t *testing.T, ranks, mib int, kill string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := mpitest.CommandFlags(ctx, t, ranks, []string{"--enable-recovery"}, mpitest.Tests(t))
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", fmt.Sprintf("%s=%d", shareVar, mib), shareKillVar+"="+kill, shareDirVar+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	text := string(out)
	if at := strings.Index(text, "10000 calls, sent"); err == nil && at >= 0 {
		t.Log(strings.TrimSpace(text[at:]))
		return text[at:]
	}
	t.Errorf("%v\n%s", err, text)
	return ""
}

// TestShareOnRanks has three ranks of a node read one shared input, which the root sends once.
func TestShareOnRanks(t *testing.T) {
	if line := runShare(t, 4, 64, ""); !strings.Contains(line, "sent 1.00 times, 0 lost") {
		t.Error(line)
	}
}

// TestShareKilled kills a rank while a shared input travels: the one that fetches it for the others, which then
// comes again, and one that waits for it.
func TestShareKilled(t *testing.T) {
	for _, kill := range []string{"giver", "another"} {
		line := runShare(t, 4, 256, kill)
		if !strings.Contains(line, " 1 lost") || strings.Contains(line, "sent 1.00 times") != (kill == "another") {
			t.Errorf("%s: %s", kill, line)
		}
	}
}

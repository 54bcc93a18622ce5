//go:build mpi

package mpi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
	"github.com/wasmpool/wasmpool/internal/transport/transporttest"
)

// roleVar tells this program, started by mpirun, what to play.
const roleVar = "WASMPOOL_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(role string) error {
	if role == "others" {
		return playOthers()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ep, err := mpi.Open(ctx, transport.NewBell(), nil, 3*time.Second)
	if err != nil {
		return err
	}
	if got := ep.LocalWorkers(); got != ep.Size()-1 {
		return fmt.Errorf("rank %d sees %d workers on its node of %d ranks", ep.Rank(), got, ep.Size())
	}
	switch {
	case role == "suite":
		if err := checkLoans(ep); err != nil {
			return err
		}
		return transporttest.Play(ctx, ep)
	case role == "mismatch":
		if err := mismatch(ctx, ep); err != nil {
			return err
		}
		fmt.Printf("rank %d noticed\n", ep.Rank())
		if err := ep.Close(); err != nil {
			return err
		}
		os.Exit(0) // MPI cannot be finalized
	case role == "asleep":
		return playAsleep(ctx, ep)
	case role == "unfinished":
		return playUnfinished(ctx, ep)
	case role == "finalize":
		if ep.Rank() == 2 {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		began := time.Now()
		err = ep.Close()
		fmt.Printf("rank %d closed\n", ep.Rank())
		if took := time.Since(began); took > 30*time.Second {
			err = errors.Join(err, fmt.Errorf("closing took %v", took))
		}
		if err == nil {
			os.Exit(0) // MPI may still wait in another thread
		}
		return err
	case ep.Rank() > 0:
		if err := os.WriteFile(pidFile(role, ep.Rank()), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return err
		}
		if err := transporttest.PlaySurvivor(ctx, ep); err != nil {
			return err
		}
		os.Exit(0) // as after every loss: MPI cannot be finalized
	}
	const victim = 2
	pid := pidFile(role, victim)
	err = transporttest.PlayLoss(ctx, ep, victim, func() {
		switch os.Getenv(wayVar) {
		case "stop":
			err = signalFile(pid, syscall.SIGSTOP)
		case "fence":
			ep.Fence(victim, errors.New("for the test"))
		default:
			err = signalFile(pid, syscall.SIGKILL)
		}
	})
	if err == nil {
		fmt.Println("the loss was noticed")
	}
	if os.Getenv(wayVar) == "stop" {
		err = errors.Join(err, signalFile(pid, syscall.SIGKILL)) // mpirun would wait for it
	}
	return errors.Join(err, ep.Close())
}

// loansVar says whether payloads are to go by loans.
const loansVar = "WASMPOOL_TEST_LOANS"

// noCopy keeps ranks from using each other's memory.
const noCopy = "OMPI_MCA_btl_vader_single_copy_mechanism=none"

func checkLoans(ep mpi.Endpoint) error {
	want := 0
	if os.Getenv(loansVar) != "" && mpi.CanRead() {
		want = 1 // a worker's, with the root
		if ep.Rank() == 0 {
			want = ep.Size() - 1
		}
	}
	if got := mpi.Loans(ep); got != want {
		return fmt.Errorf("rank %d has loans with %d ranks, want %d", ep.Rank(), got, want)
	}
	if ep.Rank() == 0 {
		lender, _ := transport.As[transport.Lender](ep)
		if at := lender.Lend(1, 0, make([]byte, 10)); (at != 0) != (want > 0) {
			return fmt.Errorf("with loans for %d workers the address of one is %#x", want, at)
		}
		lender.Reclaim(0)
	}
	return nil
}

// mismatch moves a payload for which the ranks do not agree on a length. It must
// end on both sides, with errors.
func mismatch(ctx context.Context, ep mpi.Endpoint) error {
	var h lossHandler
	ended := false
	var failure error
	done := func(err error) { ended, failure = true, err }
	if ep.Rank() == 0 {
		ep.SendPayload(1, 7, make([]byte, 10), done)
	} else {
		ep.RecvPayload(0, 7, make([]byte, 20), done)
	}
	for !ended || h.lost == nil {
		if _, err := ep.Poll(&h); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("rank %d: ended %t, lost: %w", ep.Rank(), ended, h.lost)
		}
		time.Sleep(time.Millisecond)
	}
	if failure == nil {
		return fmt.Errorf("rank %d: the payload ended well", ep.Rank())
	}
	return nil
}

// playAsleep has the workers fall asleep unheard, before the root's last frame.
func playAsleep(ctx context.Context, ep mpi.Endpoint) error {
	if ep.Rank() == 0 {
		time.Sleep(200 * time.Millisecond)
		for rank := 1; rank < ep.Size(); rank++ {
			if err := ep.Send(rank, []byte("stop")); err != nil {
				return err
			}
		}
		return ep.Close()
	}
	const patience = 20 * time.Second
	var h listener
	began := time.Now()
	for h.frames == 0 {
		ep.Doze()
		n, err := ep.Poll(&h)
		if err != nil || ctx.Err() != nil {
			return fmt.Errorf("rank %d: %w", ep.Rank(), errors.Join(err, ctx.Err()))
		}
		if n == 0 {
			ep.Bell().Wait(patience)
		}
	}
	if took := time.Since(began); took > patience/2 {
		return fmt.Errorf("rank %d was not woken for %v", ep.Rank(), took)
	}
	fmt.Printf("rank %d woke\n", ep.Rank())
	return ep.Close()
}

// A lossHandler notes who is lost.
type lossHandler struct{ lost error }

func (*lossHandler) Frame(int, []byte)       {}
func (h *lossHandler) Lost(_ int, err error) { h.lost = err }

// playOthers runs on some of the ranks, which takes longer than ranks wait for
// each other at the end.
func playOthers() error {
	const patience = 500 * time.Millisecond
	ep, err := mpi.Open(context.Background(), transport.NewBell(), []int{0, 1}, 0)
	if err != nil {
		return err
	}
	if ep.Size() == 0 {
		mpi.ShortenFinalize(patience)
		return ep.Close()
	}
	time.Sleep(4 * patience)
	fmt.Println("the members are done")
	return ep.Close()
}

// playUnfinished loses a worker of which the root awaits many payloads, and moves
// another with the worker that is left.
func playUnfinished(ctx context.Context, ep mpi.Endpoint) error {
	const victim, payloads = 2, 200
	var h listener
	want := []byte("a payload")
	switch ep.Rank() {
	case 0:
		for id := range uint32(payloads) {
			ep.RecvPayload(victim, id, make([]byte, 1<<10), func(error) { h.ended++ })
		}
		ep.Fence(victim, errors.New("for the test"))
		if err := h.poll(ctx, ep, func() bool { return h.ended == payloads }); err != nil {
			return err
		}
		ep.SendPayload(1, 0, want, func(err error) { h.err = err; h.ended++ })
		if err := h.poll(ctx, ep, func() bool { return h.ended > payloads && h.frames > 0 }); err != nil || h.err != nil {
			return errors.Join(err, h.err)
		}
		fmt.Println("the payload has left")
	case 1:
		got := make([]byte, len(want))
		ep.RecvPayload(0, 0, got, func(err error) { h.err = err; h.ended++ })
		if err := h.poll(ctx, ep, func() bool { return h.ended > 0 }); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("received %q", got)
		}
		fmt.Println("the payload has arrived")
		if err := ep.Send(0, []byte("thanks")); err != nil {
			return err
		}
	}
	if ep.Rank() > 0 { // the root hangs up, on the victim or at its end
		if err := h.poll(ctx, ep, func() bool { return h.lost }); err != nil {
			return err
		}
	}
	ep.Leave()
	err := errors.Join(h.err, ep.Close())
	if err == nil {
		os.Exit(0) // as after every loss
	}
	return err
}

// A listener takes part in playUnfinished.
type listener struct {
	ended  int // payloads
	err    error
	frames int
	lost   bool
}

func (h *listener) Frame(int, []byte) { h.frames++ }
func (h *listener) Lost(int, error)   { h.lost = true }

// poll polls until the condition holds.
func (h *listener) poll(ctx context.Context, ep mpi.Endpoint, cond func() bool) error {
	for !cond() {
		if _, err := ep.Poll(h); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("rank %d waits: %w", ep.Rank(), ctx.Err())
		}
	}
	return nil
}

// wayVar says how the victim is lost.
const wayVar = "WASMPOOL_TEST_WAY"

func pidFile(dir string, rank int) string { return fmt.Sprintf("%s/%d.pid", dir, rank) }

// signalFile sends a signal to the process whose id is in the file.
func signalFile(file string, s syscall.Signal) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

func TestConformance(t *testing.T) {
	bin := mpitest.Tests(t)
	for _, ranks := range []int{2, 4} {
		for _, way := range []struct{ name, fabric, env string }{
			{"loans", "vader,self", loansVar + "=yes"},
			{"shared memory", "vader,self", noCopy},
			{"tcp", "tcp,self", noCopy},
		} {
			t.Run(fmt.Sprintf("ranks=%d/%s", ranks, way.name), func(t *testing.T) {
				cmd := mpitest.CommandFlags(t.Context(), t, ranks, []string{"--mca", "btl", way.fabric}, bin)
				cmd.Env = append(cmd.Env, roleVar+"=suite", way.env)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// TestMismatch checks that ranks which disagree on a payload lose each other.
func TestMismatch(t *testing.T) {
	if !mpi.CanRead() {
		return // such payloads go through MPI, which does not tell
	}
	cmd := mpitest.CommandFlags(t.Context(), t, 2, []string{"--enable-recovery"}, mpitest.Tests(t))
	cmd.Env = append(cmd.Env, roleVar+"=mismatch")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), " noticed\n") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLoss loses a worker, by SIGKILL, by SIGSTOP, or because the root fences it,
// and expects the root to notice.
func TestLoss(t *testing.T) {
	bin := mpitest.Tests(t)
	for _, way := range []string{"kill", "stop", "fence"} {
		t.Run(way, func(t *testing.T) {
			cmd := mpitest.CommandFlags(t.Context(), t, 4, []string{"--enable-recovery"}, bin)
			cmd.Env = append(cmd.Env, roleVar+"="+t.TempDir(), wayVar+"="+way)
			out, err := cmd.CombinedOutput()
			if err != nil || !containsLine(string(out), "the loss was noticed") {
				t.Errorf("%v\n%s", err, out)
			}
			if way == "fence" && !strings.Contains(string(out), transporttest.ErrRootLost.Error()) {
				t.Errorf("the fenced rank was not told:\n%s", out)
			}
		})
	}
}

// TestLossAtTheEnd kills a worker while the others finalize MPI, which would wait
// for it.
func TestLossAtTheEnd(t *testing.T) {
	cmd := mpitest.CommandFlags(t.Context(), t, 4, []string{"--enable-recovery"}, mpitest.Tests(t))
	cmd.Env = append(cmd.Env, roleVar+"=finalize")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), " closed\n") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAsleep checks that workers which nobody heard falling asleep are woken for the
// root's last frame.
func TestAsleep(t *testing.T) {
	cmd := mpitest.Command(t.Context(), t, 3, mpitest.Tests(t))
	cmd.Env = append(cmd.Env, roleVar+"=asleep")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), " woke\n") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOthers checks that ranks which are no members wait for those that are: without
// them the launcher would end the job.
func TestOthers(t *testing.T) {
	cmd := mpitest.Command(t.Context(), t, 4, mpitest.Tests(t))
	cmd.Env = append(cmd.Env, roleVar+"=others")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "the members are done\n") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnfinished checks that payloads which will never end, of a rank that is lost,
// are not in the way of others.
func TestUnfinished(t *testing.T) {
	bin := mpitest.Tests(t)
	for name, env := range map[string]string{"loans": loansVar + "=yes", "chunks": noCopy} {
		t.Run(name, func(t *testing.T) {
			cmd := mpitest.CommandFlags(t.Context(), t, 3, []string{"--enable-recovery"}, bin)
			cmd.Env = append(cmd.Env, roleVar+"=unfinished", env)
			out, err := cmd.CombinedOutput()
			if err != nil || !containsLine(string(out), "the payload has left") || !containsLine(string(out), "the payload has arrived") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func containsLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

//go:build mpi

package mpi_test

import (
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	world, err := mpi.Open(ctx, transport.NewBell(), nil, 3*time.Second)
	if err != nil {
		return err
	}
	if got := world.LocalWorkers(); got != world.Size()-1 {
		return fmt.Errorf("rank %d sees %d workers on its node of %d ranks", world.Rank(), got, world.Size())
	}
	switch {
	case role == "suite":
		return transporttest.Play(ctx, world)
	case role == "finalize":
		if world.Rank() == 2 {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		began := time.Now()
		err = world.Close()
		fmt.Printf("rank %d closed\n", world.Rank())
		if took := time.Since(began); took > 30*time.Second {
			err = errors.Join(err, fmt.Errorf("closing took %v", took))
		}
		if err == nil {
			os.Exit(0) // MPI may still wait in another thread
		}
		return err
	case world.Rank() > 0:
		if err := os.WriteFile(pidFile(role, world.Rank()), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return err
		}
		if err := transporttest.PlaySurvivor(ctx, world); err != nil {
			return err
		}
		os.Exit(0) // as after every loss: MPI cannot be finalized
	}
	const victim = 2
	pid := pidFile(role, victim)
	err = transporttest.PlayLoss(ctx, world, victim, func() {
		switch os.Getenv(wayVar) {
		case "stop":
			err = signalFile(pid, syscall.SIGSTOP)
		case "fence":
			world.Fence(victim, errors.New("for the test"))
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
	return errors.Join(err, world.Close())
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
	bin := mpitest.BuildTest(t)
	for _, ranks := range []int{2, 4} {
		for _, fabric := range []string{"vader,self", "tcp,self"} {
			t.Run(fmt.Sprintf("ranks=%d/btl=%s", ranks, fabric), func(t *testing.T) {
				cmd := mpitest.CommandFlags(t.Context(), t, ranks, []string{"--mca", "btl", fabric}, bin)
				cmd.Env = append(cmd.Env, roleVar+"=suite")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// TestLoss loses a worker, by SIGKILL, by SIGSTOP, or because the root fences it,
// and expects the root to notice.
func TestLoss(t *testing.T) {
	bin := mpitest.BuildTest(t)
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
	cmd := mpitest.CommandFlags(t.Context(), t, 4, []string{"--enable-recovery"}, mpitest.BuildTest(t))
	cmd.Env = append(cmd.Env, roleVar+"=finalize")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), " closed\n") != 3 {
		t.Errorf("%v\n%s", err, out)
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

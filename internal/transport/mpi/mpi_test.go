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
	err = transporttest.PlayLoss(ctx, world, victim, func() { err = kill(pidFile(role, victim)) })
	if err == nil {
		fmt.Println("the loss was noticed")
	}
	return errors.Join(err, world.Close())
}

func pidFile(dir string, rank int) string { return fmt.Sprintf("%s/%d.pid", dir, rank) }

// kill ends the process whose id is in the file.
func kill(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
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

// TestLoss kills a worker with SIGKILL and expects the root to notice.
func TestLoss(t *testing.T) {
	bin := mpitest.BuildTest(t)
	cmd := mpitest.CommandFlags(t.Context(), t, 4, []string{"--enable-recovery"}, bin)
	cmd.Env = append(cmd.Env, roleVar+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !containsLine(string(out), "the loss was noticed") {
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

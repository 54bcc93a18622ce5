package compile

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestChildGroup checks that a signal to the parent's process group, as launchers
// send it, does not reach a child that compiles: the module would be refused.
func TestChildGroup(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group, err := syscall.Getpgid(cmd.Process.Pid)
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("the child is in group %d, %v, as its parent", group, err)
	}
	cmd.Process.Kill() //nolint:errcheck // it may have ended
	cmd.Wait()         //nolint:errcheck // it was killed
}

// TestChildKilled checks that a module is not blamed for a child that others killed.
func TestChildKilled(t *testing.T) {
	t.Parallel()
	limit := childLimit{memory: 1 << 30, cpu: 1}
	for script, bad := range map[string]bool{
		"kill -KILL $$":                      false,
		"ulimit -t 2; while :; do :; done":   true, // a second later than it should itself
		fmt.Sprintf("exit %d", childTooSlow): true,
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		if err := cmd.Run(); err == nil {
			t.Fatalf("%s succeeded", script)
		}
		err := childDeath(t.Context(), cmd.ProcessState, limit, "", true)
		if err == nil || errors.As(err, new(*BadModuleError)) != bad {
			t.Errorf("%s: %v, want that it is the module's fault: %t", script, err, bad)
		}
	}
}

// TestChildWithoutThreads checks that a module is not blamed for a child that may not have the threads
// it needs, and that the error says what lacks.
func TestChildWithoutThreads(t *testing.T) {
	t.Parallel()
	const (
		inGo = "runtime: failed to create new OS thread (have 3 already; errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal error: newosproc"
		inC  = "runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort"
	)
	for _, tt := range []struct {
		stderr     string
		begun, bad bool
		says       string
	}{
		{inGo, false, false, "ulimit -u"},
		{inGo, true, false, "ulimit -u"},
		{inC, false, false, "ulimit -u"},
		{inC, true, true, "MiB of memory"}, // it is said so of memory, too
		{"fatal error: out of memory", false, false, "out of memory"},
		{"fatal error: out of memory", true, true, "MiB of memory"},
		{"panic: what now", false, false, "what now"},
		{"panic: what now", true, true, "what now"},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "exit 2")
		if err := cmd.Run(); err == nil {
			t.Fatal("exit 2 succeeded")
		}
		err := childDeath(t.Context(), cmd.ProcessState, childLimit{memory: 1 << 30, cpu: 1}, tt.stderr, tt.begun)
		if errors.As(err, new(*BadModuleError)) != tt.bad || errors.Is(err, errNoChild) == tt.bad || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q, begun %t: %v, want that it is the module's fault: %t, and %q", tt.stderr, tt.begun, err, tt.bad, tt.says)
		}
	}
}

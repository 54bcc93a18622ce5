package compile

import (
	"errors"
	"fmt"
	"os/exec"
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
		err := childDeath(t.Context(), cmd.ProcessState, limit, "")
		if err == nil || errors.As(err, new(*BadModuleError)) != bad {
			t.Errorf("%s: %v, want that it is the module's fault: %t", script, err, bad)
		}
	}
}

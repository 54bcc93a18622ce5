package host

import (
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

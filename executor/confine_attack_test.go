//go:build mpi && linux

package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// secretVar names a file that a confined worker must not be able to read; with it, the
// worker attacks as soon as it is confined, as native code.
const secretVar = "WASMPOOL_TEST_SECRET"

func init() {
	if secret := os.Getenv(secretVar); secret != "" {
		afterConfine = func() { fmt.Println(attackFromWorker(secret)) }
	}
}

// attackFromWorker says what is not refused.
func attackFromWorker(secret string) error {
	root := os.Getppid()
	_, read := os.ReadFile(secret)
	_, home := os.ReadDir(os.Getenv("HOME"))
	write := os.WriteFile(secret, nil, 0o600)
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	plant := os.WriteFile(cache+"/planted", nil, 0o600)
	_, dial := net.Dial("tcp", "127.0.0.1:22")
	run := exec.Command("/bin/true").Run()
	kill := syscall.Kill(root, 0)
	for name, err := range map[string]error{
		"reading a file": read, "listing the home folder": home, "cutting a file": write, "planting code": plant,
		"a connection": dial, "a program": run, "a signal to the launcher": kill,
	} {
		if !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s: got %w, want a refusal", name, err)
		}
	}
	return errors.New("all attacks refused")
}

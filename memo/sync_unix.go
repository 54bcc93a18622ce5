//go:build unix

package memo

import (
	"errors"
	"os"
	"syscall"
)

// syncFolder has the names of a folder's files be on the disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some file systems do so without being asked
	}
	return errors.Join(err, f.Close())
}

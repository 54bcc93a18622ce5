package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFiles has all files of the disk that has a folder be on it.
func syncFiles(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd())))
}

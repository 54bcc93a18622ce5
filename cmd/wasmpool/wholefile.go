package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeWhole writes a file that is there whole or not at all: a disk that is full leaves the one
// that was there, and no part of the new one. What is no regular file, such as a pipe, is written to.
func writeWhole(name string, data []byte) error {
	old, err := os.Stat(name)
	exists := err == nil
	if exists && !old.Mode().IsRegular() {
		return os.WriteFile(name, data, 0o644)
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	part := fmt.Sprintf("%s.%d.part", name, os.Getpid())
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil && exists {
		return os.WriteFile(name, data, 0o644) // in a folder where no other can be made
	}
	if err == nil {
		_, err = file.Write(data)
		if exists {
			err = cmp.Or(err, file.Chmod(old.Mode().Perm()))
		}
		err = cmp.Or(err, file.Close())
		if err == nil {
			err = os.Rename(part, name)
		}
		if err != nil {
			os.Remove(part) //nolint:errcheck // the first error tells more
		}
	}
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		failed.Path = name
	}
	return err
}

// canWriteWhole looks, without a change, whether writeWhole can write a file.
func canWriteWhole(name string) error {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder", name)
	case err == nil && !info.Mode().IsRegular():
		return nil
	case err == nil:
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return file.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	part := fmt.Sprintf("%s.%d.part", name, os.Getpid())
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		failed.Path = name
	}
	if err != nil {
		return err
	}
	return cmp.Or(file.Close(), os.Remove(part))
}

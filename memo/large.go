package memo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	largeFolder = "blobs"
	newSuffix   = ".new" // of a file that is not complete
)

// largeName returns the name of the file of a large result.
func largeName(dir string, sum [32]byte) string {
	text := hex.EncodeToString(sum[:])
	return filepath.Join(dir, largeFolder, text[:2], text)
}

// writeLarge writes a large result to a file of its own, and has it be on the disk. One that is there stays.
func writeLarge(dir string, sum [32]byte, data []byte) (written bool, err error) {
	name := largeName(dir, sum)
	if info, err := os.Stat(name); err == nil && info.Size() == int64(len(data)) {
		return false, nil
	}
	folder := filepath.Dir(name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return false, err
	}
	if err := writeNew(name, data); err != nil {
		return false, err
	}
	return true, errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder)))
}

// writeNew writes a file, whole or not at all, and has its bytes be on the disk.
func writeNew(name string, data []byte) error {
	f, err := os.Create(name + newSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name+newSuffix, name)
	}
	if err != nil {
		os.Remove(name + newSuffix) //nolint:errcheck // the first error tells more
	}
	return err
}

// errDamaged is the error of a large result whose bytes are not those that were kept.
var errDamaged = errors.New("it is damaged")

// readLarge reads a large result and checks it.
func readLarge(dir string, sum [32]byte, n int64) ([]byte, error) {
	name := largeName(dir, sum)
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() != n {
		return nil, fmt.Errorf("%s: %w", name, errDamaged)
	}
	data, err := os.ReadFile(name)
	if err == nil && sha256.Sum256(data) != sum {
		err = fmt.Errorf("%s: %w", name, errDamaged)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// removeLarge removes the file of a large result. It may be gone.
func removeLarge(dir string, sum [32]byte) error {
	if err := os.Remove(largeName(dir, sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// eachLarge calls fn for the file of each large result, also of those that no record names, and of files that are not complete.
func eachLarge(dir string, fn func(name string, sum [32]byte, whole bool, size int64) error) error {
	err := filepath.WalkDir(filepath.Join(dir, largeFolder), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [32]byte
		n, err := hex.Decode(sum[:], []byte(d.Name())[:min(len(d.Name()), 2*len(sum))])
		return fn(name, sum, err == nil && n == len(sum) && len(d.Name()) == 2*len(sum), info.Size())
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

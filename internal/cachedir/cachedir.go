// Package cachedir finds the folder in which this project keeps what it compiled, and
// refuses one that others can write to: what lies there is run as this user.
//
// A folder is good where ssh would read its keys from it: it, and all folders and
// symbolic links that lead to it, belong to this user or to root, and neither their
// group nor others can write to them. Besides, as others do not come that far or cannot
// do anything there: what lies behind a folder that nobody else may enter, what is this
// user's own in a sticky folder such as /tmp, and what only a group may write to that
// has no other members. Access control lists are not looked at; on Windows, where the
// folder lies in the user's profile, nothing is.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Env names the environment variable that overrides wasmpool's cache folder.
const Env = "WASMPOOL_CACHE"

// Default returns a folder of wasmpool's cache folder: that of [Env], or wasmpool in the
// user's. It is "" where there is none.
func Default(name string) string {
	if dir := os.Getenv(Env); dir != "" {
		return filepath.Join(dir, name)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "wasmpool", name)
}

// An UnsafeError says that others may write to a folder, and what to do.
type UnsafeError struct {
	Dir string // the cache folder
	why string
}

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("the cache folder %s is not used: %s", e.Dir, e.why)
}

// Make makes a folder, for this user only, unless it is there. The error is an
// [*UnsafeError] when others may write to it.
func Make(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if why := whyUnsafe(abs); why != "" {
		return &UnsafeError{dir, why}
	}
	return nil
}

// Own reports whether nobody else can have written a file or folder, without following
// a link, that lies in a folder that [Make] found good: it may have been another before.
func Own(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && (info.Mode().IsRegular() || info.IsDir()) && own(info)
}

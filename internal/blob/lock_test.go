package blob

import "github.com/gofrs/flock"

// tryLock takes a lock as hold does, and shows nothing.
func tryLock(l *flock.Flock) (bool, error) { return l.TryLock() }

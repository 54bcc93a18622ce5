// Package filelock keeps a file, or a folder, to one process at a time, on whatever file system it lies.
package filelock

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A Lock keeps others from a file. It is a file beside it which says who
// writes, and a system's lock on that: the lock ends with its process, however that ends, and the
// file is seen where no locks are handed on, as on some network file systems. The file
// itself can be locked, too, as it may have several names. A Lock is for one goroutine at a time.
type Lock struct {
	of   Subject
	name string       // of the lock's own file; "" where there can be none
	text string       // what stands in it
	own  *flock.Flock // on the lock's file
	data *flock.Flock // on the file itself

	beaten  atomic.Int64 // when the holder last showed that it is alive, by the wall clock
	beats   sync.WaitGroup
	endBeat func()
}

// A Subject is what a lock is on, in the words of errors.
type Subject struct {
	What string // is named by the user, such as "--out"
	File string // so called: a file or a folder
	User string // what another holder is, such as "another map"
	Say  io.Writer
}

// kind is what another one of it would be.
func (s Subject) kind() string {
	if info, err := os.Stat(s.File); err == nil && info.IsDir() {
		return "folder"
	}
	return "file"
}

// A holder is who has a lock, as its file says.
type holder struct {
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

const (
	// lockTries bounds how often a lock is tried that others take and leave meanwhile.
	lockTries = 20
	lockPause = 50 * time.Millisecond
)

// A test has less of both.
var (
	// beatEvery is how often a holder shows that it is alive.
	beatEvery = 5 * time.Second

	// lockPatience is for how long a holder whose end cannot be seen may show nothing. It then
	// counts as dead.
	lockPatience = 6 * beatEvery
)

// BeatEvery returns how often a holder shows that it is alive.
func BeatEvery() time.Duration { return beatEvery }

// Take takes the lock of a subject, whose own file has that name, or says who has it. It blocks while it finds out whether
// a holder on another host is alive, until ctx ends. Where no file can be made beside the subject, there is no lock, and no error. An error that matches
// [fs.PathError] says that the lock could not be written.
func Take(ctx context.Context, name string, of Subject) (*Lock, error) {
	l := &Lock{of: of, name: name}
	text, err := json.Marshal(self())
	if err != nil {
		return nil, err
	}
	l.text = string(text) + "\n"
	for range lockTries {
		made, err := l.make()
		switch failed := new(fs.PathError); {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
			l.name = "" // there are folders where no file can be made, and only this one be written
			return l, nil
		case errors.As(err, &failed):
			failed.Path = of.File // what the user knows
			fallthrough
		case err != nil:
			return nil, err
		}
		if err := l.isForeign(); err != nil {
			return nil, err
		}
		if ok, err := l.claim(ctx, made); ok || err != nil {
			l.keepBeating(ok)
			return l, err
		}
		time.Sleep(lockPause)
	}
	return nil, fmt.Errorf("%s %s: others take its lock all the time, or cannot: %s", of.What, of.File, l.name)
}

func self() holder {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return holder{host, os.Getpid(), time.Now().Round(time.Millisecond)}
}

// File returns the file that the lock keeps others from.
func (l *Lock) File() string { return l.of.File }

// make makes the lock's file, unless it is there.
func (l *Lock) make() (made bool, err error) {
	file, err := os.OpenFile(l.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, file.Close()
}

// isForeign returns an error if the lock's file is somebody's own, which only has such a name.
func (l *Lock) isForeign() error {
	const begins = `{"host":`
	text, err := os.ReadFile(l.name)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or a lock that keeps it from us
	}
	text = bytes.Trim(text, "\x00") // of blocks that never came to the disk
	if bytes.HasPrefix(text, []byte(begins)) || bytes.HasPrefix([]byte(begins), text) {
		return nil
	}
	return fmt.Errorf("%s %s needs %s for its lock, and that holds something else: give another %s", l.of.What, l.of.File, l.name, l.of.What)
}

// claim makes the lock this process's: the one that has made its file, or one that nobody has any
// more. It returns false if it is to be tried again, and an error if somebody has it.
func (l *Lock) claim(ctx context.Context, made bool) (bool, error) {
	own := flock.New(l.name, flock.SetFlag(os.O_RDWR))
	free, lockErr := own.TryLock()
	if lockErr == nil && free && !isFileOf(own, l.name) {
		return false, own.Close() // who had it has removed it
	}
	err := l.mayTake(ctx, made, free, lockErr)
	if err == nil && free && !isFileOf(own, l.name) {
		return false, own.Close() // likewise, while this one waited
	}
	if err == nil && lockErr != nil && !made {
		// Without locks of the system the file belongs to who makes it.
		return false, errors.Join(own.Close(), takeAway(l.name))
	}
	if err == nil {
		if err = l.write(); err != nil {
			os.Remove(l.name) //nolint:errcheck // an empty one says nothing
		}
	}
	if err != nil {
		own.Close() //nolint:errcheck // the first error tells more
		if errors.Is(err, errNobody) {
			return false, nil
		}
		return false, err
	}
	l.own = own
	return true, nil
}

// errNobody is the error of a lock that somebody has just made or left.
var errNobody = errors.New("nobody has it yet")

// mayTake returns an error if somebody has a lock, whose file was there unless it was made here.
func (l *Lock) mayTake(ctx context.Context, made, free bool, lockErr error) error {
	if made && (free || lockErr != nil) {
		return nil //nolint:nilerr // without locks of the system, it is whose file it is
	}
	h, known := readHolder(l.name)
	busy := fmt.Errorf("%s %s: %s writes to it, process %d on %s, since %s: wait for it, or give another %s", l.of.What, l.of.File, l.of.User, h.PID, h.Host, h.Since.Format(time.DateTime), l.of.kind())
	here := h.Host == self().Host
	switch {
	case !known && free:
		return nil // who made it died at once
	case !known:
		return errNobody
	case lockErr == nil && !free:
		return busy
	case here && (free || !alive(h.PID)):
		return nil
	case !l.isSilent(ctx, h): // without locks of the system, another may have the number of a dead process
		return cmp.Or(context.Cause(ctx), busy)
	}
	return nil
}

// readHolder reads who has a lock.
func readHolder(name string) (h holder, known bool) {
	text, err := os.ReadFile(name)
	return h, err == nil && json.Unmarshal(text, &h) == nil
}

// isFileOf reports whether a lock is on the file that has this name now.
func isFileOf(lock *flock.Flock, name string) bool {
	locked, err := lock.Stat()
	return err == nil && isFile(name, locked)
}

// write writes whose the lock is.
func (l *Lock) write() error {
	if isMandatory {
		return nil // nobody can write to it now, nor read it
	}
	return os.WriteFile(l.name, []byte(l.text), 0o644)
}

// isFile reports whether a name is that of a file.
func isFile(name string, info os.FileInfo) bool {
	now, err := os.Stat(name)
	return err == nil && os.SameFile(now, info)
}

// isMandatory is true where a lock keeps a file from its own process, too.
const isMandatory = runtime.GOOS == "windows"

// isSilent reports whether a holder on another host shows no sign of life.
func (l *Lock) isSilent(ctx context.Context, h holder) bool {
	fmt.Fprintf(l.of.Say, "%s: process %d on %s has it, or died with it: looking for %v whether it still writes\n", l.name, h.PID, h.Host, lockPatience)
	first, err := beatOf(l.name)
	for start := time.Now(); err == nil && time.Since(start) < lockPatience; {
		if pause(ctx, min(time.Second, lockPatience/10)); ctx.Err() != nil {
			return false
		}
		var last time.Time
		if last, err = beatOf(l.name); err == nil && !last.Equal(first) {
			return false
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// beatOf returns when the holder of a lock last showed that it is alive. It opens the file, as
// network file systems then look at it anew.
func beatOf(name string) (time.Time, error) {
	file, err := os.Open(name)
	if err != nil {
		return time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// alive reports whether a process of this host may be there.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// takeAway removes the file of a lock whose holder is dead.
func takeAway(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// LockFile locks the file itself, where the system can: also again, should it be another one now.
func (l *Lock) LockFile() error {
	if isMandatory || l.data != nil && isFileOf(l.data, l.of.File) {
		return nil
	}
	data := flock.New(l.of.File, flock.SetFlag(os.O_RDWR))
	locked, err := data.TryLock()
	switch {
	case err != nil:
		return nil //nolint:nilerr // there is no such file yet, or there are no locks
	case !locked:
		return fmt.Errorf("%s %s: another process has locked it: wait for it, or give another %s", l.of.What, l.of.File, l.of.kind())
	case l.data != nil:
		l.data.Close() //nolint:errcheck // it was on the file that had the name before
	}
	l.data = data
	return nil
}

// keepBeating has the lock beat until it is released: reading what is there may take long.
func (l *Lock) keepBeating(ok bool) {
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.endBeat = cancel
	l.beaten.Store(time.Now().UnixNano())
	l.beats.Go(func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.Beat() //nolint:errcheck // who writes asks again
			case <-ctx.Done():
				return
			}
		}
	})
}

// Hold returns an error if the lock may have been taken away while this process stood still.
func (l *Lock) Hold() error {
	still := time.Duration(time.Now().UnixNano() - l.beaten.Load())
	if l.name == "" || still.Abs() < lockPatience/2 {
		return nil
	}
	return l.Beat()
}

// Beat shows that the holder is alive. It returns an error if the lock was taken away.
func (l *Lock) Beat() error {
	if l.name == "" || isMandatory {
		return nil
	}
	text, err := os.ReadFile(l.name)
	if err == nil && string(text) == l.text {
		now := time.Now()
		l.beaten.Store(now.UnixNano())
		return os.Chtimes(l.name, now, now)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("the lock %s was taken away: %s may write to %s", l.name, l.of.User, l.of.File)
}

// Release gives the lock up. Its file goes before the lock does, so that nobody finds it free.
func (l *Lock) Release() {
	if l.endBeat != nil {
		l.endBeat()
		l.beats.Wait()
	}
	text, err := os.ReadFile(l.name)
	if err == nil && string(text) == l.text {
		os.Remove(l.name) //nolint:errcheck // the next one sees that nobody has it
	}
	for _, lock := range []*flock.Flock{l.own, l.data} {
		if lock != nil {
			lock.Close() //nolint:errcheck // it ends with the process
		}
	}
	if isMandatory {
		os.Remove(l.name) //nolint:errcheck // likewise
	}
}

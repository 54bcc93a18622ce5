package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// An outLock keeps other maps from a file of results. It is a file beside it which says who
// writes, and a system's lock on that: the lock ends with its process, however that ends, and the
// file is seen where no locks are handed on, as on some network file systems. The file of results
// itself is locked, too, as it may have several names.
type outLock struct {
	flag string       // that names the file, such as --out
	out  string       // the file of results
	name string       // of the lock's own file; "" where there can be none
	text string       // what stands in it
	own  *flock.Flock // on the lock's file
	data *flock.Flock // on the file of results

	beaten  atomic.Int64 // when the holder last showed that it is alive, by the wall clock
	beats   sync.WaitGroup
	endBeat func()
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

// lockOut takes the lock of a file of results, which a flag names, or says who has it.
func (a *app) lockOut(ctx context.Context, flag, out string) (*outLock, error) {
	l := &outLock{flag: flag, out: out, name: realName(out) + lockSuffix}
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
			failed.Path = out // what the user knows
			fallthrough
		case err != nil:
			return nil, fmt.Errorf("writing the results: %w", err)
		}
		if err := l.isForeign(); err != nil {
			return nil, err
		}
		if ok, err := a.claim(ctx, l, made); ok || err != nil {
			l.keepBeating(ok)
			return l, err
		}
		time.Sleep(lockPause)
	}
	return nil, fmt.Errorf("%s %s: others take its lock all the time, or cannot: %s", flag, out, l.name)
}

func self() holder {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return holder{host, os.Getpid(), time.Now().Round(time.Millisecond)}
}

// make makes the lock's file, unless it is there.
func (l *outLock) make() (made bool, err error) {
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
func (l *outLock) isForeign() error {
	const begins = `{"host":`
	text, err := os.ReadFile(l.name)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or a lock that keeps it from us
	}
	text = bytes.Trim(text, "\x00") // of blocks that never came to the disk
	if bytes.HasPrefix(text, []byte(begins)) || bytes.HasPrefix([]byte(begins), text) {
		return nil
	}
	return fmt.Errorf("%s %s needs %s for its lock, and that holds something else: give another %s", l.flag, l.out, l.name, l.flag)
}

// claim makes the lock this process's: the one that has made its file, or one that nobody has any
// more. It returns false if it is to be tried again, and an error if somebody has it.
func (a *app) claim(ctx context.Context, l *outLock, made bool) (bool, error) {
	own := flock.New(l.name, flock.SetFlag(os.O_RDWR))
	free, lockErr := own.TryLock()
	if lockErr == nil && free && !isFileOf(own, l.name) {
		return false, own.Close() // who had it has removed it
	}
	err := a.mayTake(ctx, l, made, free, lockErr)
	if err == nil && free && !isFileOf(own, l.name) {
		return false, own.Close() // likewise, while this one waited
	}
	if err == nil && lockErr != nil && !made {
		// Without locks of the system the file belongs to who makes it.
		return false, errors.Join(own.Close(), takeAway(l.name))
	}
	if err == nil {
		if err = l.write(); err != nil {
			err = fmt.Errorf("writing the results: %w", err)
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
func (a *app) mayTake(ctx context.Context, l *outLock, made, free bool, lockErr error) error {
	if made && (free || lockErr != nil) {
		return nil //nolint:nilerr // without locks of the system, it is whose file it is
	}
	h, known := readHolder(l.name)
	busy := fmt.Errorf("%s %s: another map writes to it, process %d on %s, since %s: wait for it, or give another file", l.flag, l.out, h.PID, h.Host, h.Since.Format(time.DateTime))
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
	case !a.isSilent(ctx, l.name, h): // without locks of the system, another may have the number of a dead process
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
func (l *outLock) write() error {
	if isMandatory {
		return nil // nobody can write to it now, nor read it
	}
	return os.WriteFile(l.name, []byte(l.text), 0o644)
}

// isMandatory is true where a lock keeps a file from its own process, too.
const isMandatory = runtime.GOOS == "windows"

// isSilent reports whether a holder on another host shows no sign of life.
func (a *app) isSilent(ctx context.Context, name string, h holder) bool {
	fmt.Fprintf(a.err, "wasmpool: %s: process %d on %s has it, or died with it: looking for %v whether it still writes\n", name, h.PID, h.Host, lockPatience)
	first, err := beatOf(name)
	for start := time.Now(); err == nil && time.Since(start) < lockPatience; {
		if wait(ctx, min(time.Second, lockPatience/10)); ctx.Err() != nil {
			return false
		}
		var last time.Time
		if last, err = beatOf(name); err == nil && !last.Equal(first) {
			return false
		}
	}
	return true
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

// lockData locks the file of results itself, where the system can.
func (l *outLock) lockData() error {
	if isMandatory || l.data != nil && isFileOf(l.data, l.out) {
		return nil
	}
	data := flock.New(l.out, flock.SetFlag(os.O_RDWR))
	locked, err := data.TryLock()
	switch {
	case err != nil:
		return nil //nolint:nilerr // there is no such file yet, or there are no locks
	case !locked:
		return fmt.Errorf("%s %s: another process has locked it: wait for it, or give another file", l.flag, l.out)
	case l.data != nil:
		l.data.Close() //nolint:errcheck // it was on the file that had the name before
	}
	l.data = data
	return nil
}

// keepBeating has the lock beat until it is released: reading what is there may take long.
func (l *outLock) keepBeating(ok bool) {
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
				l.beat() //nolint:errcheck // who writes asks again
			case <-ctx.Done():
				return
			}
		}
	})
}

// hold returns an error if the lock may have been taken away while this process stood still.
func (l *outLock) hold() error {
	still := time.Duration(time.Now().UnixNano() - l.beaten.Load())
	if l.name == "" || still.Abs() < lockPatience/2 {
		return nil
	}
	return l.beat()
}

// beat shows that the holder is alive. It returns an error if the lock was taken away.
func (l *outLock) beat() error {
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
	return fmt.Errorf("the lock %s was taken away: another map may write to %s", l.name, l.out)
}

// release gives the lock up. Its file goes before the lock does, so that nobody finds it free.
func (l *outLock) release() {
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

//go:build linux

package launch

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A failing writer has room for nothing.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Output that cannot be written ends the job, and its exit code says so.
func TestOutputFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		code    int
		message string
	}{
		{"full", syscall.ENOSPC, ExitSetup, "handing on what the ranks print: no space left on device"},
		{"closed", &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, exitPipe, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, `trap 'echo interrupted >&2; exit 0' TERM; `+begin+`echo result; sleep 100 & wait $!`, "mpirun")
			tr.Stdout = failing{tt.err}
			if took := tr.expect(t, tt.code, tt.message); took > soon {
				t.Errorf("it took %v", took)
			}
			if said := strings.Contains(tr.err.String(), "interrupted"); said != (tt.code == ExitSetup) {
				t.Errorf("the ranks say %q, want that nothing is said to a reader that has left", &tr.err)
			}
		})
	}
}

// What the last line said counts, too: nobody sees an error when the root has ended.
func TestOutputFailsLate(t *testing.T) {
	tr := newTrial(t, begin+"seq 5", "mpirun")
	tr.Stdout = failing{errors.New("a quota")}
	tr.expect(t, ExitSetup, "a quota")
}

// A delayed is a file on a file system that says only at the end that there was no room.
type delayed struct{ strings.Builder }

func (*delayed) Sync() error { return syscall.EDQUOT }

// What was written counts when it is on the disk.
func TestOutputFailsAtTheEnd(t *testing.T) {
	tr := newTrial(t, begin+"seq 5", "mpirun")
	tr.Stdout = new(delayed)
	tr.expect(t, ExitSetup, "disk quota exceeded")
}

// A slow reader takes its time, and a long one's: nothing is cut off behind a root that has ended.
func TestOutputSlow(t *testing.T) {
	tr := newTrial(t, begin+"seq 60000", "mpirun")
	slow := &slowReader{pause: afterExit + drainDelay + time.Second}
	tr.Stdout = slow
	tr.expect(t, 0, "")
	if n := strings.Count(slow.text.String(), "\n"); n != 60000 {
		t.Errorf("%d lines, want 60000", n)
	}
}

// A slowReader pauses before it takes the first block.
type slowReader struct {
	once  sync.Once
	pause time.Duration
	text  strings.Builder
}

func (s *slowReader) Write(b []byte) (int, error) {
	s.once.Do(func() { time.Sleep(s.pause) })
	return s.text.Write(b)
}

// A signal ends the wait for a reader that takes nothing.
func TestOutputUnread(t *testing.T) {
	tr := newTrial(t, begin+"seq 60000", "mpirun")
	reader := stopped{make(chan struct{}, 1), make(chan struct{})}
	tr.Stdout = reader
	defer time.Sleep(50 * time.Millisecond) // for the goroutine that was left
	defer close(reader.release)
	var presses sync.WaitGroup
	ended := make(chan struct{})
	presses.Go(func() { // of Ctrl-C, until it helps
		select {
		case <-reader.called:
		case <-ended:
		}
		for {
			select {
			case <-ended:
				return
			case <-time.After(500 * time.Millisecond):
			}
			select {
			case tr.signals <- os.Interrupt:
			default: // enough of them wait to be heeded
			}
		}
	})
	defer presses.Wait()
	defer close(ended)
	if code, err := tr.Run(t.Context()); code != ExitSetup || !errors.Is(err, errUnread) {
		t.Errorf("exit code %d, %v, want %v", code, err, errUnread)
	}
}

// A stopped reader takes nothing until release is closed.
type stopped struct{ called, release chan struct{} }

func (s stopped) Write(b []byte) (int, error) {
	select {
	case s.called <- struct{}{}:
	default:
	}
	<-s.release
	return len(b), nil
}

package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An output hands on what a launcher prints. Launchers go on when they cannot write what the ranks
// have printed, and say nothing: so it does not write to where the output is to go, but to
// a pipe, and who reads that sees the error.
type output struct {
	from    *os.File // the pipe
	to      io.Writer
	writing atomic.Bool   // now, perhaps until a slow reader has room
	failed  chan struct{} // closed when something could not be written
	err     error         // why; set before failed is closed
	done    sync.WaitGroup
	pipes   chan os.Signal
}

// newOutput returns an output and the file that a launcher is to print to, which belongs to the caller.
func newOutput(to io.Writer) (*output, *os.File, error) {
	if to == nil {
		to = io.Discard
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o := &output{from: r, to: to, failed: make(chan struct{}), pipes: make(chan os.Signal, 1)}
	signal.Notify(o.pipes, syscall.SIGPIPE) // else a reader that leaves ends this process at once
	o.done.Go(o.copy)
	return o, w, nil
}

// copy goes on reading when it cannot write, so that the launcher is not held up.
func (o *output) copy() {
	block := make([]byte, 64<<10)
	for {
		n, err := o.from.Read(block)
		if n > 0 && o.err == nil {
			o.writing.Store(true)
			_, o.err = o.to.Write(block[:n])
			o.writing.Store(false)
			if o.err != nil {
				close(o.failed)
			}
		}
		if err != nil {
			break
		}
	}
	if o.err == nil {
		o.writing.Store(true)
		o.err = settle(o.to)
		o.writing.Store(false)
	}
}

// settle has what was written be on the disk, where it is in a file: some file systems say only
// then that there is no room.
func settle(to io.Writer) error {
	if file, ok := to.(*os.File); ok {
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil //nolint:nilerr // a pipe, or what is none any more
		}
	}
	if file, ok := to.(interface{ Sync() error }); ok {
		return file.Sync()
	}
	return nil
}

// errUnread is the error of output that a signal has ended, as its reader took no more of it.
var errUnread = errors.New("a signal came while its reader took nothing")

// drain waits until all was handed on, and returns why that failed. A process that is left may hold
// the pipe open: when nothing came for a while it is left, too. A signal that comes from stop ends it.
func (o *output) drain(stop <-chan os.Signal) error {
	defer signal.Stop(o.pipes)
	ended := make(chan struct{})
	go func() { // it ends with copy
		o.done.Wait()
		close(ended)
	}()
	if !o.await(ended, drainDelay, stop) && o.writing.Load() {
		return errUnread
	}
	o.from.Close() //nolint:errcheck // it was read to its end, or as far as anybody waits
	<-ended
	return o.err
}

// await waits until a channel is closed, and reports whether it was within so much time in which
// nobody waited for a slow reader. A signal that comes from stop ends it.
func (o *output) await(ended <-chan struct{}, patience time.Duration, stop <-chan os.Signal) bool {
	select {
	case <-ended:
		return true
	default:
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for waited := time.Duration(0); waited < patience; {
		select {
		case <-ended:
			return true
		case s := <-stop:
			if s == os.Interrupt || s == syscall.SIGTERM {
				return false
			}
		case <-tick.C:
			if !o.writing.Load() {
				waited += look
			}
		}
	}
	return false
}

// exitPipe is the code of a program that a shell saw end because nobody read what it printed.
const exitPipe = 128 + int(syscall.SIGPIPE)

// outputError returns how a job ended whose output could not be written. A reader that has left
// wants no more, and no message.
func outputError(err error) (int, error) {
	if errors.Is(err, syscall.EPIPE) {
		return exitPipe, nil
	}
	return ExitSetup, fmt.Errorf("launch: handing on what the ranks print: %w", err)
}

package launch

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// noise are in lines that launchers print when a rank dies and the job goes on.
var noise = []string{
	"PMIX ERROR: ",
	"ORTE_ERROR_LOG: ",
	"ORTE has lost communication",
	"sent help message help-",
	"Set MCA parameter \"orte_base_help_aggregate\"",
	"Read -1, expected ",
}

// helpNoise are in blocks of help that say the same.
var helpNoise = []string{
	"has unexpectedly disconnected",
	"peer process has unexpectedly",
	"exited on signal",
	"exited without calling",
	"lost communication with a remote daemon",
	"lost connection",
	"non-zero exit code",
}

const (
	// mostHelp is how many lines a block of help has at most.
	mostHelp = 40

	// helpPause is how long one may take to come.
	helpPause = 200 * time.Millisecond

	// ruleLen is how many dashes there are at least in the lines around it.
	ruleLen = 60
)

// A filter passes on what a launcher and the program say on standard error, a line
// at a time, but for the launcher's noise.
type filter struct {
	in    *io.PipeWriter
	out   io.Writer
	done  sync.WaitGroup
	block []string // perhaps of help, from its first rule on
}

func newFilter(out io.Writer, all bool) *filter {
	in, w := io.Pipe()
	f := &filter{in: w, out: out}
	lines := make(chan string)
	f.done.Go(func() { // it ends when f is closed
		defer close(lines)
		for r := bufio.NewReader(in); ; {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	})
	f.done.Go(func() { f.pass(lines, all) })
	return f
}

func (f *filter) Write(b []byte) (int, error) { return f.in.Write(b) }

// Close passes on what is left and waits until that is done.
func (f *filter) Close() error {
	err := f.in.Close()
	f.done.Wait()
	return err
}

func (f *filter) pass(lines <-chan string, all bool) {
	pause := time.NewTimer(helpPause)
	defer pause.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				f.flush()
				return
			}
			if all {
				f.write(line)
				continue
			}
			f.add(line)
			pause.Reset(helpPause)
		case <-pause.C:
			f.flush()
		}
	}
}

// add passes a line on, or keeps it until it is known whether it is help.
func (f *filter) add(line string) {
	switch rule := isRule(line); {
	case f.block == nil && rule:
		f.block = []string{line}
	case f.block == nil:
		if !contains(line, noise) {
			f.write(line)
		}
	default:
		f.block = append(f.block, line)
		if rule && slices.ContainsFunc(f.block, func(l string) bool { return contains(l, helpNoise) }) {
			f.block = nil
		} else if rule || len(f.block) > mostHelp {
			f.flush()
		}
	}
}

func (f *filter) flush() {
	for _, line := range f.block {
		f.write(line)
	}
	f.block = nil
}

func (f *filter) write(line string) {
	io.WriteString(f.out, line) //nolint:errcheck // there is nowhere to say it
}

// isRule reports whether a line is one of those around Open MPI's help.
func isRule(line string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= ruleLen && strings.Trim(line, "-") == ""
}

func contains(line string, signs []string) bool {
	return slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(line, s) })
}

package launch

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// noise are the lines that Open MPI prints when a rank dies and the job goes on, and
// one that MPICH's transport has for a last message that nobody waited for. They begin
// with host and process; whatever else has these words stays.
var noise = regexp.MustCompile(`^\[[\d.]+\] \[[^\]\s]+\]\s+tag_match\.c:\d+\s+UCX\s+WARN\s+unexpected tag-receive descriptor \S+ was not matched$` +
	`|^\[[^\]\s]+:\d+\] (` +
	`PMIX ERROR: ` +
	`|(\[\[\S+\] )?ORTE_ERROR_LOG: ` +
	`|\d+ more process(es)? ha(s|ve) sent help message help-` +
	`|Set MCA parameter "orte_base_help_aggregate" ` +
	`|Read -1, expected \d+, errno = \d+$)`)

// helpNoise are the blocks of help that say the same, as whole texts with single
// blanks. A block with a line of the program in its middle is none of them.
var helpNoise = []*regexp.Regexp{
	help(`An MPI communication peer process has unexpectedly disconnected. This usually indicates a failure in the peer process (e.g., a crash or otherwise exiting without calling MPI_FINALIZE first). Although this local MPI process will likely now behave unpredictably (it may even hang or crash), the root cause of this problem is the failure of the peer -- that is what you need to investigate. For example, there may be a core file that you can examine. More generally: such peer hangups are frequently caused by application bugs or other external events. Local host: % Local PID: % Peer host: %`),
	help(`% noticed that process rank % with PID % on node % exited on signal % %.`),
	help(`% noticed that process rank % with PID % on node % exited on signal %.`),
	help(`% detected that one or more processes exited with non-zero status, thus causing the job to be terminated. The first process to do so was: Process name: % Exit code: %`),
	help(`ORTE has lost communication with a remote daemon. HNP daemon : % on node % Remote daemon: % on node % This is usually due to either a failure of the TCP network connection to the node, or possibly an internal failure of the daemon itself. We cannot recover from this failure, and therefore will terminate the job.`),
}

// help returns a pattern for a text, in which each % stands for a word.
func help(text string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), "%", `\S+`) + "$")
}

const (
	// mostHelp is how many lines a block of help has at most.
	mostHelp = 40

	// helpPause is how long one may take to come.
	helpPause = 200 * time.Millisecond

	// ruleLen is how many dashes there are at least in the lines around it.
	ruleLen = 60
)

// footerMark begins a line of the root that is its footer. People do not type it.
const footerMark = "\x01wasmpool footer: "

// FooterLine returns what a root prints on standard error for launch to show a footer: see
// [Job.Footer].
func FooterLine(footer string) string { return footerMark + footer + "\n" }

// A filter passes on what a launcher and the program say on standard error, a line
// at a time, but for the launcher's noise and the root's footer.
type filter struct {
	in     *io.PipeWriter
	out    io.Writer
	footer func(string) // nil passes the footer on, too
	muted  atomic.Bool  // nobody wants to know any more
	done   sync.WaitGroup
	block  []string // perhaps of help, from its first rule on
}

func newFilter(out io.Writer, all bool, footer func(string)) *filter {
	in, w := io.Pipe()
	f := &filter{in: w, out: out, footer: footer}
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
			switch footer, is := strings.CutPrefix(line, footerMark); {
			case is && f.footer != nil:
				f.footer(strings.TrimRight(footer, "\r\n"))
			case all:
				f.write(line)
			default:
				f.add(line)
				pause.Reset(helpPause)
			}
		case <-pause.C:
			f.flush()
		}
	}
}

// add passes a line on, or keeps it until it is known whether it is help.
func (f *filter) add(line string) {
	switch {
	case isRule(line):
		if len(f.block) > 0 && isHelpNoise(f.block[1:]) {
			f.block = nil
			return
		}
		f.flush()
		f.block = []string{line} // it may end a text, or begin one
	case noise.MatchString(strings.TrimRight(line, "\r\n")):
	case f.block == nil:
		f.write(line)
	default:
		f.block = append(f.block, line)
		if len(f.block) > mostHelp {
			f.flush()
		}
	}
}

func isHelpNoise(lines []string) bool {
	text := strings.Join(strings.Fields(strings.Join(lines, "")), " ")
	return slices.ContainsFunc(helpNoise, func(p *regexp.Regexp) bool { return p.MatchString(text) })
}

func (f *filter) flush() {
	for _, line := range f.block {
		f.write(line)
	}
	f.block = nil
}

func (f *filter) write(line string) {
	if f.muted.Load() {
		return
	}
	io.WriteString(f.out, line) //nolint:errcheck // there is nowhere to say it
}

// isRule reports whether a line is one of those around Open MPI's help.
func isRule(line string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= ruleLen && strings.Trim(line, "-") == ""
}

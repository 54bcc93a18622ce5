package launch

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// A buffer may be read while a job writes to it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

const rule = "--------------------------------------------------------------------------\n"

// A killed rank, as mpirun says it.
const killedRank = rule + `mpirun noticed that process rank 2 with PID 4711 on node vm exited on signal 9 (Killed).
` + rule

// A peer that is gone, as a rank says it.
const gonePeer = rule + `An MPI communication peer process has unexpectedly disconnected.  This
usually indicates a failure in the peer process (e.g., a crash or
otherwise exiting without calling MPI_FINALIZE first).

Although this local MPI process will likely now behave unpredictably
(it may even hang or crash), the root cause of this problem is the
failure of the peer -- that is what you need to investigate.  For
example, there may be a core file that you can examine.  More
generally: such peer hangups are frequently caused by application bugs
or other external events.

  Local host: vm
  Local PID:  4712
  Peer host:  vm
` + rule

const noSlots = rule + "There are not enough slots available in the system.\n" + rule

func TestFilter(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("a line of the program\n", 3*mostHelp)
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"the program", "one\n\ntwo", "one\n\ntwo"},
		{"PMIx", "[vm:1] PMIX ERROR: BAD-PARAM in file x.c at line 1033\nmine\n", "mine\n"},
		{"ORTE", "[vm:1] [[1,0],0] ORTE_ERROR_LOG: Unreachable in file y.c\n[vm:1] 3 more processes have sent help message help-x.txt / y\n[vm:1] Set MCA parameter \"orte_base_help_aggregate\" to 0 to see all\n", ""},
		{"UCX", "[1795474996.117046] [vm:14044:0]       tag_match.c:62   UCX  WARN  unexpected tag-receive descriptor 0x40b45300 was not matched\nmine\n", "mine\n"},
		{"a dead sender", "[vm:12] Read -1, expected 200000, errno = 3\n", ""},
		{"the program on such words", "log: PMIX ERROR: x\nORTE_ERROR_LOG: y\n", "log: PMIX ERROR: x\nORTE_ERROR_LOG: y\n"},
		{"help", "a\n" + killedRank + "b\n" + gonePeer + "c\n", "a\nb\nc\n"},
		{"help on help", killedRank + killedRank + gonePeer, ""},
		{"other help", noSlots, noSlots},
		{"help behind other help", noSlots + gonePeer + noSlots, noSlots + noSlots},
		{"a table of the program", rule + "lost connection: 3\n" + rule + "exited on signal: 1\n" + rule, rule + "lost connection: 3\n" + rule + "exited on signal: 1\n" + rule},
		{"a rule of the program before help", rule + "x\n" + killedRank, rule + "x\n"},
		{"a line of the program within help", strings.Replace(gonePeer, "\n\n", "\nmine\n", 1), strings.Replace(gonePeer, "\n\n", "\nmine\n", 1)},
		{"a rule and much text", rule + many, rule + many},
		{"help without its end", strings.TrimSuffix(killedRank, rule), strings.TrimSuffix(killedRank, rule)},
	} {
		var out buffer
		f := newFilter(&out, false, nil)
		io.WriteString(f, tt.in) //nolint:errcheck // a pipe that is open
		f.Close()
		if out.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, &out, tt.want)
		}
	}
}

func TestFilterVerbose(t *testing.T) {
	t.Parallel()
	var out buffer
	f := newFilter(&out, true, nil)
	text := gonePeer + "[vm:1] PMIX ERROR: x\n"
	io.WriteString(f, text) //nolint:errcheck // a pipe that is open
	f.Close()
	if out.String() != text {
		t.Errorf("%q, want all", &out)
	}
}

// The root's footer goes its own way, in order, and breaks no help apart.
func TestFilterFooter(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		var out buffer
		var got []string
		f := newFilter(&out, all, func(s string) { got = append(got, s) })
		text := strings.Replace(gonePeer, "\n\n", "\n\n"+FooterLine("half of it"), 1) + FooterLine("") + "mine\n"
		io.WriteString(f, FooterLine("begun")+text) //nolint:errcheck // a pipe that is open
		f.Close()
		if want := "begun,half of it,"; strings.Join(got, ",") != want {
			t.Errorf("the footer is %q, want %q", got, want)
		}
		if want := "mine\n"; !all && out.String() != want || !strings.HasSuffix(out.String(), want) || strings.Contains(out.String(), "half") {
			t.Errorf("the lines are %q, want %q", &out, want)
		}
	}
}

// A line that may begin help is not kept for long.
func TestFilterPause(t *testing.T) {
	t.Parallel()
	var out buffer
	f := newFilter(&out, false, nil)
	defer f.Close()
	io.WriteString(f, rule+"a heading\n") //nolint:errcheck // a pipe that is open
	for end := time.Now().Add(5 * time.Second); out.String() != rule+"a heading\n"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q, want the lines before the filter is closed", &out)
		}
	}
}

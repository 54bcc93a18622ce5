package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A map that goes on with its results is killed again and again, or told to end, or its disk is full,
// while somebody edits its input, a second one tries to have the same file, and a crash tears lines.
// At any time each result is of its argument, and none is lost. At the end each input has one
// line, of what it is then.
//
// So many maps TestChaos starts; WASMPOOL_TEST_CHAOS says another number, and WASMPOOL_TEST_SEED
// has all be as in an earlier run.
const chaosRuns = 26

func TestChaos(t *testing.T) {
	t.Parallel()
	runs := chaosRuns
	if testing.Short() { // it runs in another build, too
		runs = 8
	}
	testChaos(t, runs, chaos{program: "wasmpool", env: []string{"WASMPOOL_CACHE=" + t.TempDir()}})
}

// testChaos starts so many maps of all kinds of inputs.
func testChaos(t *testing.T, runs int, like chaos) {
	t.Helper()
	runs = int(numberOf(t, "WASMPOOL_TEST_CHAOS", uint64(runs)))
	seed := numberOf(t, "WASMPOOL_TEST_SEED", uint64(time.Now().UnixNano()))
	t.Logf("WASMPOOL_TEST_SEED=%d WASMPOOL_TEST_CHAOS=%d runs it again", seed, runs)
	steps := 20_000 // of a call, so that a map lasts for a while
	if like.ranks > 0 {
		steps = 1_000_000
	}
	module := unittest.AssembleFile(t, "chaos", fmt.Sprintf(chaosTasks, steps))
	n := 2 * len(chaosKinds)
	for turn, story := range rand.New(rand.NewPCG(seed, 0)).Perm(n) {
		maps := (runs + n - 1 - turn) / n // in all, as many as there are to be
		if maps == 0 {
			break
		}
		kind, folder := chaosKinds[story/2], story%2 == 1
		t.Run(kind.name+map[bool]string{true: ", out-dir"}[folder], func(t *testing.T) {
			c := like
			c.t, c.kind, c.folder, c.module = t, kind, folder, module
			c.rand = rand.New(rand.NewPCG(seed, uint64(story)+1))
			c.dir = t.TempDir()
			if c.disk != nil {
				c.dir = c.disk.folder(t)
			}
			c.story(maps)
		})
	}
}

func numberOf(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// chaosTasks has a task that returns its argument, and fails where that begins with an x; and
// another one.
const chaosTasks = `(module
	(import "wasmpool" "input_len" (func $len (result i32)))
	(import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	(import "wasmpool" "output_write" (func $output (param i32 i32)))
	(memory (export "memory") 2)
	(func (export "echo") (result i32)
		(local $step i32)
		(loop $on (br_if $on (i32.lt_u (local.tee $step (i32.add (local.get $step) (i32.const 1))) (i32.const %d))))
		(drop (call $read (i32.const 0) (i32.const 0) (call $len)))
		(if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 120)) (then unreachable))
		(call $output (i32.const 0) (call $len)) (i32.const 0))
	(func (export "other") (result i32) (i32.const 0)))`

// chaos is one input and its results.
type chaos struct {
	t       *testing.T
	rand    *rand.Rand
	program string
	env     []string
	ranks   int   // or 0
	disk    *disk // that can be full, or nil
	module  string
	dir     string
	kind    chaosKind
	folder  bool // results go to files
	then    bool // they are those of a second call

	inputs  []chaosInput
	made    int            // inputs so far, for names
	span    chaosSpan      // of what is computed
	took    time.Duration  // that a map takes which nothing ends
	codes   map[string]int // how maps ended
	slowest time.Duration  // of them
}

func (c *chaos) path(name string) string { return filepath.Join(c.dir, name) }

// story runs so many maps, and then one to its end.
func (c *chaos) story(runs int) {
	c.codes, c.took = map[string]int{}, 200*time.Millisecond
	c.then = c.oneIn(3)
	c.begin()
	for range runs {
		c.edit()
		c.write()
		c.run()
		if c.t.Failed() {
			return
		}
		c.tear()
	}
	c.edit()
	c.write()
	c.finish()
	c.t.Logf("%d maps, of which one took %v, by exit code: %v", runs+1, c.slowest.Round(time.Millisecond), c.codes)
}

// command is the map that goes on, with more flags.
func (c *chaos) command(task string, more ...string) *exec.Cmd {
	args := append([]string{"map", c.module, task, "--out", c.path("out"), "--resume"}, c.kind.flags(c)...)
	if c.folder {
		args = append(args, "--out-dir", c.path("files"))
	}
	if c.then {
		args = append(args, "--then", "echo")
	}
	if c.ranks > 0 {
		args = append(args, "--ranks", strconv.Itoa(c.ranks), "--slots", "1")
	} else {
		args = append(args, "--workers", strconv.Itoa(1+c.rand.IntN(2)))
	}
	if c.rand.IntN(2) == 0 {
		args = append(args, "--unordered")
	}
	cmd := exec.Command(c.program, append(args, more...)...)
	cmd.Env = append(os.Environ(), c.env...)
	return cmd
}

// part returns flags that take some of the inputs, as a rule none.
func (c *chaos) part() []string {
	switch c.rand.IntN(6) {
	case 0:
		return []string{"--shard", fmt.Sprintf("%d/3", 1+c.rand.IntN(3))}
	case 1:
		from := c.rand.IntN(len(c.inputs) + 1)
		return []string{"--where", fmt.Sprintf("%d-%d,%d-", from/2, from, from+c.rand.IntN(200))}
	}
	return nil
}

// A job is a map that runs.
type job struct {
	cmd     *exec.Cmd
	started time.Time
	said    bytes.Buffer
	ended   chan struct{}
}

func (c *chaos) start(cmd *exec.Cmd) *job {
	j := &job{cmd: cmd, started: time.Now(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &j.said, &j.said
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it has ended, as a rule
		<-j.ended
	})
	go func() {
		cmd.Wait() //nolint:errcheck // the exit code says it
		close(j.ended)
	}()
	return j
}

// run starts a map, does something to it, and looks at what it has left.
func (c *chaos) run() {
	before := c.counts("out")
	what := c.rand.IntN(20)
	if what == 0 {
		c.otherTask()
		return
	}
	part := c.part()
	started := time.Now()
	jobs := []*job{c.start(c.command("echo", part...))}
	if what < 5 {
		jobs = append(jobs, c.start(c.command("echo", part...)))
	}
	inputs := c.inputs
	c.moment(jobs[0])
	for _, j := range jobs {
		switch {
		case what < 11:
			c.hit(j, syscall.SIGKILL)
		case what < 13:
			c.hit(j, syscall.SIGTERM)
		case what < 16:
			c.fill(j)
		case what < 18: // edited while it runs
			c.edit()
			c.write()
		}
	}
	for _, j := range jobs {
		c.wait(j)
	}
	c.room()
	edited := what == 16 || what == 17
	if what >= 18 && jobs[0].cmd.ProcessState.ExitCode() > exitCallFailed {
		c.t.Errorf("%v: %v, and nothing was done to it\n%s", jobs[0].cmd, jobs[0].cmd.ProcessState, &jobs[0].said)
	}
	if what >= 18 && part == nil {
		c.took = time.Since(started)
	}
	c.compare(before, inputs, edited)
}

// otherTask tries to go on with results of another task. Where there are some, it is refused.
func (c *chaos) otherTask() {
	before, _ := os.ReadFile(c.path("out")) // nothing at first
	results := c.counts("out")
	j := c.start(c.command("other"))
	c.wait(j)
	after, err := os.ReadFile(c.path("out"))
	if code := j.cmd.ProcessState.ExitCode(); len(results) > 0 && (err != nil || code != exitSetup || !bytes.Equal(before, after)) {
		c.t.Errorf("another task: exit code %d, the file is the same: %v, want 2 and true\n%s", code, bytes.Equal(before, after), &j.said)
	}
	if len(results) == 0 {
		os.Remove(c.path("out"))      // it has results of another task
		os.RemoveAll(c.path("files")) // likewise
	}
}

// moment waits for some time in the life of a map: any, or shortly after it has begun with its file.
func (c *chaos) moment(j *job) {
	if c.rand.IntN(2) == 0 {
		c.sleep(j, time.Duration(c.rand.Int64N(int64(c.took*5/4))))
		return
	}
	before, _ := os.Stat(c.path("out")) // nil at first
	for range 10_000 {
		now, err := os.Stat(c.path("out"))
		if err == nil && (before == nil || !os.SameFile(now, before) || now.Size() != before.Size()) {
			break
		}
		if _, err := os.Stat(c.path("out" + nextSuffix)); err == nil || j.over() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c.sleep(j, time.Duration(c.rand.IntN(20_000))*time.Microsecond)
}

func (c *chaos) sleep(j *job, d time.Duration) {
	select {
	case <-j.ended:
	case <-time.After(d):
	}
}

func (j *job) over() bool {
	select {
	case <-j.ended:
		return true
	default:
		return false
	}
}

// hit sends a signal to a process of a job.
func (c *chaos) hit(j *job, sig syscall.Signal) {
	if c.ranks > 0 && !j.over() {
		c.hitRank(j, sig)
		return
	}
	j.cmd.Process.Signal(sig) //nolint:errcheck // it may have ended
}

// wait waits until a job has ended.
func (c *chaos) wait(j *job) {
	c.t.Helper()
	select {
	case <-j.ended:
	case <-time.After(3 * time.Minute):
		j.cmd.Process.Signal(syscall.SIGQUIT) //nolint:errcheck // it may say where it is
		c.sleep(j, 5*time.Second)
		c.t.Fatalf("%v has not ended in three minutes\n%s", j.cmd, &j.said)
	}
	if c.ranks > 0 {
		c.ranksGone(j)
	}
	c.slowest = max(c.slowest, time.Since(j.started))
	code := j.cmd.ProcessState.ExitCode()
	says := fmt.Sprint(code)
	if text := strings.TrimSpace(withoutReports(j.said.String())); code == exitSetup {
		last := text[strings.LastIndexByte(text, '\n')+1:]
		says += ": " + last[strings.LastIndex(last, ": ")+1:]
	}
	c.codes[says]++
	if bytes.Contains(j.said.Bytes(), []byte("goroutine ")) || bytes.Contains(j.said.Bytes(), []byte("panic: ")) {
		c.t.Errorf("%v has crashed:\n%s", j.cmd, &j.said)
	}
}

// tear does to the file what the crash of a machine may do, or somebody who puts files together.
func (c *chaos) tear() {
	text, err := os.ReadFile(c.path("out"))
	if err != nil || len(text) < 500 {
		return
	}
	switch at := c.rand.IntN(len(text) - 200); c.rand.IntN(8) {
	case 0:
		text = text[:len(text)-c.rand.IntN(200)]
	case 1: // a block never came to the disk
		clear(text[at : at+200])
	case 2: // a line was cut, and others were added behind it
		text = slices.Delete(text, at, at+1+bytes.IndexByte(text[at:], '\n'))
	case 3: // what is gone comes back
		gone, _ := os.ReadFile(c.path("out.gone")) // there may be none
		text = append(append(text, '\n'), gone...)
	case 4:
		text = append(text, text[bytes.IndexByte(text, '\n')+1:]...)
	default:
		return
	}
	if err := os.WriteFile(c.path("out"), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	if len(c.inputs) == 0 {
		return
	}
	name := filepath.Join(c.path("files"), resultName(c.rand.Int64N(int64(len(c.inputs))), c.inputs[0].file))
	if _, err := os.Stat(name); err == nil {
		os.Truncate(name, int64(c.rand.IntN(2))) //nolint:errcheck // then it is whole
	}
}

// finish lets a map run to its end, and holds each result to its input.
func (c *chaos) finish() {
	j := c.start(c.command("echo"))
	c.wait(j)
	fails := 0
	for _, in := range c.inputs {
		if in.fails() {
			fails++
		}
	}
	if got, want := j.cmd.ProcessState.ExitCode(), min(fails, 1)*exitCallFailed; got != want {
		c.t.Fatalf("%v: exit code %d, want %d\n%s", j.cmd, got, want, &j.said)
	}
	lines := make([]int, len(c.inputs))
	for _, r := range c.rows("out") {
		if *r.I >= int64(len(c.inputs)) {
			c.t.Errorf("%.200s: there are %d inputs", r.line, len(c.inputs))
			continue
		}
		lines[*r.I]++
		in := c.inputs[*r.I]
		if *r.OK == in.fails() || c.keyOf(r) != in.key() {
			c.t.Errorf("%.200s: input %d is %.200q of file %q", r.line, *r.I, in.arg, in.file)
		}
		if c.folder && *r.OK {
			name := resultName(*r.I, in.file)
			if out, err := os.ReadFile(filepath.Join(c.path("files"), name)); err != nil || string(out) != in.arg || r.OutFile != name {
				c.t.Errorf("%.200s: the file has %.200q, %v, and input %d is %.200q", r.line, out, err, *r.I, in.arg)
			}
		}
	}
	for i, n := range lines {
		if n != 1 {
			c.t.Errorf("input %d has %d lines", i, n)
		}
	}
	c.nothingLeft(len(c.inputs) - fails)
}

// nothingLeft holds the folders to what belongs there.
func (c *chaos) nothingLeft(results int) {
	left, err := filepath.Glob(c.path("*.*"))
	left = slices.DeleteFunc(left, func(name string) bool {
		return slices.Contains([]string{"out.gone", "files.gone"}, filepath.Base(name))
	})
	if err != nil || len(left) > 0 {
		c.t.Errorf("%v are left, %v", left, err)
	}
	if !c.folder {
		return
	}
	files := 0
	err = filepath.WalkDir(c.path("files"), func(_ string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || files != results {
		c.t.Errorf("%d results have %d files, %v", results, files, err)
	}
}

// rows returns the lines of a file of results. What is torn is left out.
func (c *chaos) rows(name string) []*resultRow {
	text, err := os.ReadFile(c.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	var all []*resultRow
	for line := range bytes.Lines(text) {
		if r, err := parseRow(bytes.TrimSuffix(line, []byte("\n"))); err == nil && bytes.HasSuffix(line, []byte("\n")) {
			all = append(all, r)
		}
	}
	return all
}

// keyOf returns what the result of a line is of. It holds the result to the digest of its argument.
func (c *chaos) keyOf(r *resultRow) string {
	if *r.OK && r.OutFile == "" {
		out, err := r.result()
		if sum := fmt.Sprintf("%016x", uint64(digestOf(out))); err != nil || sum != r.Arg {
			c.t.Errorf("%.200s: the result is of argument %s, %v", r.line, sum, err)
		}
	}
	return r.File + "\x00" + r.Arg
}

// counts returns how many results there are of each input.
func (c *chaos) counts(names ...string) map[string]int {
	all := map[string]int{}
	for _, name := range names {
		for _, r := range c.rows(name) {
			if *r.OK {
				all[c.keyOf(r)]++
			}
		}
	}
	return all
}

// compare looks for results that a map has lost: what was there before it, of an input.
func (c *chaos) compare(before map[string]int, inputs []chaosInput, edited bool) {
	if c.folder {
		for _, r := range c.rows("out") {
			c.keyOf(r)
		}
		return // results whose inputs moved run again
	}
	wanted := map[string]int{}
	for _, in := range inputs {
		wanted[in.key()]++
	}
	after := c.counts("out", "out.gone")
	for key, n := range before {
		want := min(n, max(wanted[key], 1))
		if edited {
			want = 1
		}
		if after[key] < want {
			c.t.Errorf("%q had %d results, and has %d: want %d", key, n, after[key], want)
		}
	}
}

// A chaosInput is an input, and what should become of it.
type chaosInput struct {
	text string // as it is read
	arg  string // "" where it makes none
	file string // with --files
}

// fails reports whether the input has no result.
func (in chaosInput) fails() bool { return in.arg == "" || in.arg[0] == 'x' }

// key is what its line has of it.
func (in chaosInput) key() string {
	sum := ""
	switch {
	case in.arg != "":
		sum = fmt.Sprintf("%016x", uint64(digestOf([]byte(in.arg))))
	case in.file == "" && in.text != "" && !strings.Contains(in.text, ","): // a bad line of JSON, but not a row
		sum = fmt.Sprintf("%016x", uint64(digestOf([]byte(in.text))))
	}
	return in.file + "\x00" + sum
}

// A chaosSpan is what computed inputs are computed from.
type chaosSpan struct{ from, n, step int }

// to is the last number of a span.
func (s chaosSpan) to() int { return s.from + (s.n-1)*s.step }

// text is the span as a range.
func (s chaosSpan) text() string { return fmt.Sprintf("%d..%d..%d", s.from, s.to(), cmp.Or(s.step, 1)) }

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// chaosRuns is how often TestResumeChaos kills a map; WASMPOOL_TEST_CHAOS says another number.
const chaosRuns = 12

// A map that goes on with its results is killed again and again, while somebody edits its input, a
// second one tries to have the same file, and a crash tears lines. At the end each input has one
// result, of what it is then.
func TestResumeChaos(t *testing.T) {
	t.Parallel()
	testChaos(t, chaosRuns, 3000, false)
}

// So it is where each result has a file of its own, which a crash may tear, too.
func TestResumeChaosFolder(t *testing.T) {
	t.Parallel()
	testChaos(t, chaosRuns/2, 300, true)
}

// testChaos kills a map of so many inputs so often.
func testChaos(t *testing.T, runs, inputs int, folder bool) {
	t.Helper()
	if text := os.Getenv("WASMPOOL_TEST_CHAOS"); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WASMPOOL_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WASMPOOL_TEST_SEED=%d WASMPOOL_TEST_CHAOS=%d runs it again", seed, runs)
	c := &chaos{t: t, rand: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), cache: t.TempDir(), folder: folder}
	for range inputs {
		c.inputs = append(c.inputs, c.rand.IntN(1000))
	}
	for range runs {
		c.edit()
		c.run()
		c.tear()
	}
	c.edit()
	c.writeInputs()
	if out, err := c.command().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.check()
	t.Logf("%d of %d maps were killed before their end", c.killed, c.started)
	if left, err := filepath.Glob(c.path("out.*")); err != nil || slices.ContainsFunc(left, func(name string) bool { return name != c.path("out.gone") }) {
		t.Errorf("%v are left, %v", left, err)
	}
}

// chaos is one input and its results.
type chaos struct {
	t      *testing.T
	rand   *rand.Rand
	dir    string
	cache  string
	inputs []int
	folder bool // results go to files

	started, killed int
}

func (c *chaos) path(name string) string { return filepath.Join(c.dir, name) }

// edit inserts, deletes, changes and moves some inputs.
func (c *chaos) edit() {
	for range c.rand.IntN(60) {
		at, to := c.rand.IntN(len(c.inputs)), c.rand.IntN(len(c.inputs))
		switch c.rand.IntN(4) {
		case 0:
			c.inputs = slices.Insert(c.inputs, at, c.rand.IntN(5000))
		case 1:
			c.inputs = slices.Delete(c.inputs, at, at+1)
		case 2:
			c.inputs[at] = c.rand.IntN(5000)
		default:
			c.inputs[at], c.inputs[to] = c.inputs[to], c.inputs[at]
		}
	}
}

func (c *chaos) writeInputs() {
	var text bytes.Buffer
	for _, n := range c.inputs {
		fmt.Fprintf(&text, "[%d, 7]\n", n)
	}
	if err := os.WriteFile(c.path("in"), text.Bytes(), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaos) command() *exec.Cmd {
	args := []string{"map", "testdata/add.wasm", "add", "--jsonl", c.path("in"), "--out", c.path("out"), "--resume", "--workers", "1"}
	if c.rand.IntN(2) == 0 {
		args = append(args, "--unordered")
	}
	if c.folder {
		args = append(args, "--out-dir", c.path("files"))
	}
	cmd := exec.Command("wasmpool", args...)
	cmd.Env = append(os.Environ(), "WASMPOOL_CACHE="+c.cache)
	return cmd
}

// run starts a map, or two at once, and kills all of them some time after they have begun with
// the file.
func (c *chaos) run() {
	c.writeInputs()
	before, _ := os.Stat(c.path("out")) // nil at first
	cmds := []*exec.Cmd{c.command()}
	if c.rand.IntN(3) == 0 {
		cmds = append(cmds, c.command())
	}
	ended := make(chan struct{}, len(cmds))
	for _, cmd := range cmds {
		if err := cmd.Start(); err != nil {
			c.t.Fatal(err)
		}
		go func() {
			cmd.Wait() //nolint:errcheck // it is killed
			ended <- struct{}{}
		}()
	}
	for range 5000 {
		if now, err := os.Stat(c.path("out")); err == nil && (before == nil || !os.SameFile(now, before) || now.Size() != before.Size()) {
			break
		}
		if _, err := os.Stat(c.path("out" + nextSuffix)); err == nil || len(ended) == len(cmds) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(c.rand.IntN(10_000)) * time.Microsecond)
	for _, cmd := range cmds {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
	}
	for range cmds {
		<-ended
	}
	for _, cmd := range cmds {
		c.started++
		if !cmd.ProcessState.Exited() {
			c.killed++
		}
	}
}

// tear does to the file what the crash of a machine may do, or somebody who puts files together.
func (c *chaos) tear() {
	text, err := os.ReadFile(c.path("out"))
	if err != nil || len(text) < 500 {
		return
	}
	switch at := c.rand.IntN(len(text) - 200); c.rand.IntN(4) {
	case 0:
		text = text[:len(text)-c.rand.IntN(200)]
	case 1: // a block never came to the disk
		clear(text[at : at+200])
	case 2: // a line was cut, and others were added behind it
		text = slices.Delete(text, at, at+1+bytes.IndexByte(text[at:], '\n'))
	default:
		return
	}
	if err := os.WriteFile(c.path("out"), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	name := c.path(filepath.Join("files", strconv.Itoa(c.rand.IntN(len(c.inputs)))))
	if _, err := os.Stat(name); err == nil {
		os.Truncate(name, int64(c.rand.IntN(2))) //nolint:errcheck // then it is whole
	}
}

// check holds each result to its input.
func (c *chaos) check() {
	file, err := os.Open(c.path("out"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	results := make([]int, len(c.inputs))
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r struct {
			I, Out int
			OK     bool
			File   string `json:"out_file"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || !r.OK || r.I >= len(c.inputs) {
			c.t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		if c.folder {
			r.Out = c.fileOf(r.I, r.File)
		}
		if results[r.I]++; r.Out != c.inputs[r.I]+7 {
			c.t.Errorf("%s, but input %d is %d", lines.Bytes(), r.I, c.inputs[r.I])
		}
	}
	for i, n := range results {
		if n != 1 {
			c.t.Errorf("input %d has %d results", i, n)
		}
	}
	if files, err := os.ReadDir(c.path("files")); c.folder && (err != nil || len(files) != len(c.inputs)) {
		c.t.Errorf("%d inputs have %d files, %v", len(c.inputs), len(files), err)
	}
}

// fileOf returns the result in the file of an input.
func (c *chaos) fileOf(i int, name string) int {
	text, err := os.ReadFile(c.path(filepath.Join("files", name)))
	if err != nil || name != strconv.Itoa(i) {
		c.t.Fatalf("the file of input %d is %q: %v", i, name, err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

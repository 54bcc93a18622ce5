package difftest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Options say what Run does.
type Options struct {
	Seed      uint64 // the first
	Seeds     uint64 // how many; 0: until the time is up
	Time      time.Duration
	Processes int
	Without   Fences
	LeaveOut  Parts
	OldCPU    bool   // compile for a CPU for amd64 without LZCNT and TZCNT
	Finds     int    // after so many it ends; 0: it goes on
	Shrink    int    // how often to try to leave something out of a find
	Dir       string // where finds are written; empty: nowhere
	Every     time.Duration
	Log       io.Writer
}

// A Find is a fault that was found.
type Find struct {
	Seed  uint64
	Step  string // which of the seed's modules
	Kind  string
	Text  string
	Wasm  []byte // as it was
	Small []byte // shrunk
	File  string // the shrunk one, or empty
}

// A Result is what Run did.
type Result struct {
	Stats Stats
	CPU   time.Duration
	Took  time.Duration
	Finds []Find
}

const (
	seedsOfChild = 200             // then it is replaced: its memory is not given back
	tryForDeath  = 15              // of as many tries to shrink there is one for a find that ends its process
	patience     = 5 * time.Minute // for one module: with longer it hangs
)

// Run checks the modules of seed after seed in child processes, which are this
// program: it must call Child. An error means that the work could not be done.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Time)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{o: o, began: time.Now(), cancel: cancel, live: make([]report, max(1, o.Processes))}
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		r.tell(ctx)
	}()
	var group sync.WaitGroup
	for i := range r.live {
		group.Go(func() { r.work(ctx, i) })
	}
	group.Wait()
	cancel(nil)
	<-ticking
	r.result.Took = time.Since(r.began)
	return &r.result, r.err
}

// A runner watches the children.
type runner struct {
	o      Options
	began  time.Time
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	result Result
	live   []report // what each child said last
	err    error
}

// work runs one child after another.
func (r *runner) work(ctx context.Context, i int) {
	n := uint64(len(r.live))
	for at := uint64(i); ctx.Err() == nil && (r.o.Seeds == 0 || at < r.o.Seeds); {
		count := uint64(seedsOfChild)
		if r.o.Seeds > 0 {
			count = min(count, (r.o.Seeds-at+n-1)/n)
		}
		first := r.o.Seed + at
		last, err := r.child(ctx, i, order{First: first, Stride: n, Seeds: count, Without: r.o.Without, LeaveOut: r.o.LeaveOut, OldCPU: r.o.OldCPU, Tries: r.o.Shrink})
		if err != nil {
			r.fail(err)
			return
		}
		if !last.Done { // it died, and that was told: go on behind
			count = (last.Seed-first)/n + 1
		}
		at += count * n
	}
}

func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
	r.cancel(err)
}

// child runs a child and returns the last that it said. Its death is a find.
func (r *runner) child(ctx context.Context, i int, o order) (last report, err error) {
	cmd, stderr, err := command(ctx, o, nil)
	if err != nil {
		return last, err
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return last, err
	}
	hung := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }) // Wait tells
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var now report
		if json.Unmarshal(lines.Bytes(), &now) != nil {
			continue // a part of a line, by one that died
		}
		hung.Reset(patience)
		last = now
		r.hear(i, now)
	}
	err = cmd.Wait()
	killed := !hung.Stop()
	r.ended(i, cmd)
	switch {
	case ctx.Err() != nil || err == nil:
		return last, nil //nolint:nilerr // it was killed, as the time is up
	case killed:
		r.died(ctx, last, "hang", fmt.Sprintf("it takes more than %v", patience))
	case last.Step == "":
		return last, fmt.Errorf("difftest: a child process failed: %w\n%s", err, stderr)
	default:
		text := stderr.Bytes()
		r.died(ctx, last, "crash", fmt.Sprintf("%v\n%s", err, text[:min(len(text), 600)]))
	}
	return last, nil
}

// One checks one module, as a find was written, with its seed. It returns nil when
// nothing is wrong with it.
func One(ctx context.Context, o Options, wasm []byte) (*Find, error) {
	cmd, stderr, err := command(ctx, order{One: true, First: o.Seed, Without: o.Without, OldCPU: o.OldCPU, NaN: true}, bytes.NewReader(wasm))
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return &Find{Seed: o.Seed, Kind: "crash", Text: fmt.Sprintf("%v\n%s", err, stderr), Wasm: wasm}, nil
	}
	var last report
	if err := json.Unmarshal(out, &last); err != nil || last.Find == "" {
		return nil, err
	}
	return &Find{Seed: o.Seed, Kind: last.Find, Text: last.Text, Wasm: wasm}, nil
}

// command starts this program as a child.
func command(ctx context.Context, o order, in io.Reader) (*exec.Cmd, *bytes.Buffer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text), "GOMAXPROCS=2", "GOTRACEBACK=single")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &stderr
	cmd.WaitDelay = time.Second
	return cmd, &stderr, nil
}

// hear takes note of what a child said.
func (r *runner) hear(i int, now report) {
	if now.Find != "" {
		r.found(Find{Seed: now.Seed, Step: now.Step, Kind: now.Find, Text: now.Text, Wasm: now.Wasm, Small: now.Small})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[i] = now
}

// ended adds what a child did.
func (r *runner) ended(i int, cmd *exec.Cmd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Stats.add(r.live[i].Stats)
	r.result.CPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.live[i] = report{}
}

func (r *runner) totals() (s Stats, cpu time.Duration) {
	s, cpu = r.result.Stats, r.result.CPU
	for _, l := range r.live {
		s.add(l.Stats)
		cpu += l.CPU
	}
	return s, cpu
}

// died makes a find of a module that ended its process, and shrinks it.
func (r *runner) died(ctx context.Context, at report, kind, text string) {
	f := Find{Seed: at.Seed, Step: at.Step, Kind: kind, Text: text}
	r.mu.Lock()
	r.result.Stats.Finds++
	r.mu.Unlock()
	if s := r.again(ctx, at); s != nil {
		f.Wasm = s.wasm
		f.Small = s.wasm
		if kind == "crash" {
			tries := r.o.Shrink / tryForDeath
			f.Small = s.shrunk(tries, func(wasm []byte) bool {
				tries--
				return tries >= 0 && r.dies(ctx, *s, at.Seed, wasm)
			})
		}
	}
	r.found(f)
}

// again makes the module of a report anew.
func (r *runner) again(ctx context.Context, at report) (found *step) {
	b, err := newBench(ctx, r.o.Without)
	if err != nil {
		return nil
	}
	defer b.engines.close(ctx)
	b.leaveOut = r.o.LeaveOut
	if b.specification, err = readSpecification(ctx); err != nil && !b.leaveOut.Specification {
		return nil
	}
	b.eachStep(at.Seed, func(s step) {
		if s.name == at.Step {
			found = &s
		}
	})
	return found
}

// dies reports whether a module ends its process.
func (r *runner) dies(ctx context.Context, s step, seed uint64, wasm []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, _, err := command(ctx, order{One: true, First: seed, Without: r.o.Without, OldCPU: r.o.OldCPU, Name: s.name, NaN: s.nan, Proposal: s.proposal}, bytes.NewReader(wasm))
	if err != nil {
		return false
	}
	return cmd.Run() != nil && ctx.Err() == nil
}

// found writes a find to a file, and tells of it.
func (r *runner) found(f Find) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.Dir != "" && len(f.Small) > 0 {
		f.File = filepath.Join(r.o.Dir, fmt.Sprintf("find-%d-%d.wasm", f.Seed, len(r.result.Finds)))
		r.err = errors.Join(r.err, os.WriteFile(f.File, f.Small, 0o600), os.WriteFile(f.File+".whole", f.Wasm, 0o600))
		writeText(context.Background(), f.File)
	}
	r.result.Finds = append(r.result.Finds, f)
	fmt.Fprintf(r.o.Log, "FOUND after %.1f s: seed %d, %s: %s: %s\n", time.Since(r.began).Seconds(), f.Seed, f.Step, f.Kind, f.Text)
	if f.File != "" {
		fmt.Fprintf(r.o.Log, "  shrunk from %d bytes to %d: %s\n", len(f.Wasm), len(f.Small), f.File)
	}
	if r.o.Finds > 0 && len(r.result.Finds) >= r.o.Finds {
		r.cancel(nil)
	}
}

// writeText writes the text form of a module beside it, if wabt is there.
func writeText(ctx context.Context, file string) {
	_ = exec.CommandContext(ctx, "wasm2wat", "--enable-tail-call", "--enable-threads", "--enable-extended-const", "--enable-exceptions", "--no-check", "-o", file+".wat", file).Run() // it is a help, no more
}

// tell writes a line now and then.
func (r *runner) tell(ctx context.Context) {
	if r.o.Every <= 0 {
		return
	}
	for tick := time.NewTicker(r.o.Every); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			r.mu.Lock()
			s, cpu := r.totals()
			fmt.Fprintln(r.o.Log, summary(s, cpu, time.Since(r.began)))
			r.mu.Unlock()
		}
	}
}

func summary(s Stats, cpu, took time.Duration) string {
	return fmt.Sprintf("cpu=%d s=%d modules=%d calls=%d mutants=%d invalid=%d refused=%d finds=%d",
		int(cpu.Seconds()), int(took.Seconds()), s.Modules, s.Calls, s.Mutants, s.Invalid, s.Refused, s.Finds)
}

// String is one line with the numbers.
func (r *Result) String() string { return summary(r.Stats, r.CPU, r.Took) }

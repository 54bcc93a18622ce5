package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// poolFlags are the flags of the commands that run calls.
type poolFlags struct {
	ranks   int
	start   time.Duration // with ranks
	workers int
	rootOff bool // --workers 0
	slots   int
	memory  byteSize
	output  byteSize
	timeout time.Duration
	budget  uint64 // instructions
	grants  grantFlags
	gate    gateFlags
	shared  []string // NAME=FILE
	trees   []string // likewise
	memo    memoFlags
	twice   twiceFlags
	isolate isolationFlag
	confine bool
	verbose bool
	stdin   bool // the command reads standard input, so that ranks are to have it
	stages  int  // maps that go on at once, or 0
	view    viewFlags
}

func (f *poolFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&f.ranks, "ranks", 0, "start `N` MPI ranks to run it, as wasmpool launch does (needs wasmpool-mpi)")
	flags.DurationVar(&f.start, "timeout-start", time.Minute, "with --ranks, end the job if they have not found each other after `D`")
	flags.IntVar(&f.workers, "workers", 0, "run `N` calls at once in this process (default: the CPUs; under MPI none, as the other ranks work, but the CPUs less one where no other rank is on this node)")
	flags.IntVar(&f.slots, "slots", 0, "under MPI, run `N` calls at once on each worker rank (default: the CPUs it may use)")
	flags.Var(&f.memory, "memory", "the most memory that a running task may take, a `SIZE` such as 512MiB (default, and at most: 2GiB)")
	flags.Var(&f.output, "output-limit", "the longest result that a task may give, a `SIZE` such as 1GiB (default: 256MiB)")
	flags.DurationVar(&f.timeout, "timeout", 0, "stop a call that runs longer than `D`, such as 30s (default: none)")
	flags.Uint64Var(&f.budget, "instructions", 0, "stop a call that has executed `N` instructions: at the same place in every run and on every node (default: none)")
	f.grants.add(flags)
	f.gate.add(flags)
	flags.StringArrayVar(&f.shared, "shared", nil, "let the task read a file, `NAME=FILE`, which only this node needs to have: by sdk.Shared, or as /shared/NAME")
	flags.StringArrayVar(&f.trees, "shared-tree", nil, "likewise what a zip file, or a tar file that is not compressed, holds, `NAME=FILE`: as the folder /shared/NAME")
	flags.Var(&f.isolate, "isolation", "what a call finds of the calls before it, a `WORD`: reuse (all that the task keeps), reset (nothing), fresh (nothing, but slower)")
	flags.BoolVar(&f.confine, "confine", false, "a second wall for tasks that break out of their sandbox: worker ranks may read no files but granted folders, start no programs and open no connections (on Linux, under MPI)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show debug logs, what tasks print, and where they failed")
	f.view.add(flags)
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "root-slots":
			name = "workers" // what it means under MPI
		case "output":
			name = "output-limit" // as it was called
		}
		return pflag.NormalizedName(name)
	})
}

// leastMemory is a page of wasm, and mostMemory what a module can use.
const (
	leastMemory = 64 << 10
	mostMemory  = 2 << 30
)

// check finds values that make no sense. It knows nothing but the flags, so
// that all ranks agree.
func (f *poolFlags) check(flags *pflag.FlagSet) error {
	f.rootOff = flags.Changed("workers") && f.workers == 0
	for _, name := range []string{"workers", "slots", "ranks"} {
		if name == "workers" && f.rootOff {
			continue // withPool knows whether there are others
		}
		if n, err := flags.GetInt(name); err == nil && n < 1 && flags.Changed(name) {
			return fmt.Errorf("--%s is %d, must be at least 1", name, n)
		}
	}
	for _, slots := range []struct {
		name string
		n    int
	}{{"workers", f.workers}, {"slots", f.slots}} {
		if slots.n > executor.MostSlots {
			return fmt.Errorf("--%s is %d, must be at most %d", slots.name, slots.n, executor.MostSlots)
		}
	}
	if f.timeout < 0 || f.timeout == 0 && flags.Changed("timeout") {
		return fmt.Errorf("--timeout is %v, must be more than 0", f.timeout)
	}
	if f.budget == 0 && flags.Changed("instructions") {
		return errors.New("--instructions is 0, must be at least 1")
	}
	if f.start <= 0 {
		return fmt.Errorf("--timeout-start is %v, must be more than 0", f.start)
	}
	if f.memory > 0 && f.memory < leastMemory {
		return fmt.Errorf("--memory is %s, must be at least %s: is the unit missing, as in 512MiB?", &f.memory, formatBytes(leastMemory))
	}
	if f.memory > mostMemory {
		return fmt.Errorf("--memory is %s, but a module can use no more than %s", &f.memory, formatBytes(mostMemory))
	}
	if f.confine && f.workers > 0 {
		return errors.New("--confine is for worker ranks, and --workers has calls run in the root's process: leave one of them out")
	}
	if f.confine && f.ranks == 1 {
		return errors.New("--confine is for worker ranks, and --ranks 1 starts the root alone: take 2 or more")
	}
	_, err := f.grants.grants()
	_, sharedErr := f.sources()
	return errors.Join(err, sharedErr, f.checkMemo(flags), f.checkTwice(flags), f.view.check(flags))
}

func (f *poolFlags) config(a *app) (executor.Config, error) {
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	grants, err := f.grants.grants()
	if err != nil {
		return executor.Config{}, err
	}
	grants.Output = f.verbose || f.view.logs != ""
	shared, err := f.sources()
	if err != nil {
		return executor.Config{}, err
	}
	rootSlots := f.workers
	if f.rootOff {
		rootSlots = -1
	}
	return executor.Config{
		Memo: f.memo.store(a), VerifyMemo: f.memo.verify.share,
		Speculate: f.twice.speculate, SpotCheck: f.twice.check.share,
		RootSlots: rootSlots,
		Slots:     f.slots,
		HeldBytes: heldBytes / int64(max(f.stages, 1)),
		Sandbox: host.Config{
			MemoryLimit: uint64(f.memory),
			Limits:      host.Limits{Time: f.timeout, Output: uint64(f.output), Instructions: f.budget},
			AllowLarge:  f.gate.large,
			StubImports: f.gate.stubs,
			Isolation:   host.Isolation(f.isolate),
			Grants:      map[string]host.Grants{host.EveryModule: grants},
		},
		Shared:  shared,
		Confine: f.confine,
		Logger:  slog.New(a.view.logHandler(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))),
	}, nil
}

// withPool runs root on rank 0 with a pool, and serves it on the other ranks. module
// is what root will open, "" for nothing.
//
// Whatever must look at files belongs into root: the other ranks may be on nodes
// without them, and an error of root still ends the pool on all ranks.
func (a *app) withPool(ctx context.Context, f *poolFlags, module string, root func(context.Context, *executor.Executor) error) error {
	a.progress = f.view.progress
	switch {
	case f.ranks > 0 && !a.launched:
		return a.launchSelf(ctx, f)
	case f.ranks > 0 && !a.started:
		return errors.New("--ranks starts a launcher, but this was started by one: leave it out, and give the number of ranks to the launcher")
	}
	if f.rootOff && !a.launched {
		return errors.New("--workers is 0, must be at least 1: without other ranks nobody else runs calls")
	}
	if f.slots > 0 && !a.launched {
		fmt.Fprintln(a.err, "wasmpool: --slots is for the worker ranks of a launcher and has no effect here: --workers says how many calls run at once")
	}
	if a.rank == 0 {
		a.view = newView(a, f)
	}
	cfg, err := f.config(a)
	if err != nil {
		return err
	}
	if f.confine && !a.launched {
		return errors.New("--confine is for worker ranks, and here calls run in this process: add --ranks N, or start it with wasmpool launch, mpirun or srun")
	}
	cfg.Modules = a.early(ctx, module)
	if !a.launched { // else the pool finds it when all ranks have met
		if err := checkFolders(cfg.Sandbox.Grants[host.EveryModule]); err != nil {
			return err
		}
	}
	err = executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		if err := a.view.open(ctx, ex); err != nil {
			return err
		}
		return root(ctx, ex)
	})
	err = a.view.close(err)
	if errors.Is(err, executor.ErrLaunch) && !mpi.Built {
		err = fmt.Errorf("%w (wasmpool-mpi is this command with MPI: make mpi builds it)", err)
	}
	if errors.Is(err, executor.ErrNotConfined) {
		err = errors.New("--confine is for worker ranks, and this job has one rank, the root: start it on 2 or more")
	}
	if err == nil || a.rank == 0 || errors.Is(err, executor.ErrLaunch) {
		return err // rank 0 says it for all
	}
	return &workerError{rank: a.rank, err: err}
}

// early opens a module file on a rank that will be a worker, which then compiles it
// while MPI starts. Without the file it gets the module from the root, which says
// what is wrong with one.
func (a *app) early(ctx context.Context, name string) []*wasmtasks.Module {
	if a.rank == 0 || !strings.HasSuffix(name, ".wasm") {
		return nil
	}
	m, err := wasmtasks.Open(ctx, name)
	if err != nil {
		return nil
	}
	return []*wasmtasks.Module{m}
}

// A target is the task that a command was told to call.
type target struct {
	name   string // as the command line has it
	task   wasmtasks.Task
	module *wasmtasks.Module
	stages []string // of a map: name, and the names of --then
	reduce string   // the task of --reduce, as the command line has it
	of     string   // the task, or tasks, and the module, as results name them
}

// openTarget loads MODULE into the pool and finds TASK in it. The arguments are
// the command's: MODULE, and perhaps TASK. What a WASI program is given is in the grants.
func openTarget(ctx context.Context, ex *executor.Executor, args []string, g *grantFlags) (target, error) {
	open := func() (*wasmtasks.Module, error) { return openModule(ctx, args[0]) }
	if isScript(args[0]) {
		open = func() (*wasmtasks.Module, error) { return g.openScript(ctx, args) }
	}
	m, err := open()
	if err != nil {
		return target{}, err
	}
	t, err := findTarget(m, args[1:])
	if err != nil {
		return target{}, err
	}
	if t.task.Kind != wasmtasks.KindCommand {
		switch {
		case len(g.args) > 0:
			return target{}, fmt.Errorf("what stands behind -- is for WASI programs, and %s is a task (%s): give its argument with --arg, or as the input of map", t.name, t.task.Kind)
		case g.result != "":
			return target{}, fmt.Errorf("--result-file is for WASI programs, and %s is a task (%s), which returns its result", t.name, t.task.Kind)
		case g.keep != 0:
			return target{}, fmt.Errorf("--keep is for WASI programs, and %s is a task (%s), which is kept in any case", t.name, t.task.Kind)
		}
	}
	t.module, t.of = m, t.task.Name+g.mark()+sharedMark(ex)+"@"+m.Digest().String()[:12]
	return t, ex.Load(m)
}

// openModule opens what MODULE names.
func openModule(ctx context.Context, name string) (*wasmtasks.Module, error) {
	if strings.HasSuffix(name, ".go") {
		return nil, fmt.Errorf("%s is a Go file: MODULE is the folder of its package, %s", name, filepath.Dir(name))
	}
	m, err := wasmtasks.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (MODULE is a .wasm file, a folder of sources, or a source file)", err)
	}
	return m, err
}

func findTarget(m *wasmtasks.Module, names []string) (target, error) {
	tasks := m.Tasks()
	switch {
	case len(tasks) == 0:
		if why := refusal(host.Config{}.Check(m)); why != "" {
			return target{}, fmt.Errorf("module %s is refused (bad_module): %s", m.Name(), why)
		}
		return target{}, fmt.Errorf("module %s exports no task (wasmpool inspect shows what it has)", m.Name())
	case len(names) == 0 && len(tasks) == 1:
		return target{name: tasks[0].Name, task: tasks[0]}, nil
	case len(names) == 0:
		return target{}, fmt.Errorf("module %s has %d tasks, name one: %s", m.Name(), len(tasks), taskNames(tasks))
	}
	var table wasmtasks.Table
	if err := table.Add(m); err != nil {
		return target{}, err
	}
	_, task, err := table.Lookup(names[0])
	return target{name: names[0], task: task}, err
}

func taskNames(tasks []wasmtasks.Task) string {
	const most = 20
	var names []string
	for _, t := range tasks[:min(len(tasks), most)] {
		names = append(names, t.Name)
	}
	if len(tasks) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

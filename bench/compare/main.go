package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compare: ")
	var s settings
	s.declare(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		log.Fatal(err)
	}
}

// settings are what the command line says.
type settings struct {
	cases    string
	rounds   int
	markdown bool
	results  string
	redraw   bool
	mpirun   string
	python   string
}

func (s *settings) declare(f *flag.FlagSet) {
	launcher := "mpirun --oversubscribe --bind-to none"
	if os.Geteuid() == 0 {
		launcher += " --allow-run-as-root"
	}
	f.StringVar(&s.cases, "cases", "", "run only these comparisons: "+strings.Join(comparisonNames(), ", "))
	f.IntVar(&s.rounds, "rounds", 5, "how often the programs take turns")
	f.BoolVar(&s.markdown, "markdown", false, "print the tables of docs/benchmarks.md")
	f.StringVar(&s.results, "results", "", "keep the results in a file of this `folder`, and draw all that it has, in plot.svg there")
	f.BoolVar(&s.redraw, "redraw", false, "measure nothing: draw the results of -results again")
	f.StringVar(&s.mpirun, "mpirun", launcher, "how to start ranks; -n is added")
	f.StringVar(&s.python, "python", "/usr/bin/python3", "the Python that has mpi4py")
}

// chosen returns the comparisons to run.
func (s settings) chosen() ([]comparison, error) {
	if s.cases == "" {
		return comparisons, nil
	}
	names := strings.Split(s.cases, ",")
	for _, name := range names {
		if !slices.Contains(comparisonNames(), name) {
			return nil, fmt.Errorf("no comparison %q, there are: %s", name, strings.Join(comparisonNames(), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(comparisons), func(c comparison) bool { return !slices.Contains(names, c.name) }), nil
}

func run(ctx context.Context, s settings) error {
	if s.redraw && s.results == "" {
		return errors.New("-redraw wants -results")
	}
	if s.redraw {
		return plotFile(s.results)
	}
	if s.rounds < 1 {
		return errors.New("-rounds must be at least 1")
	}
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	tools, err := build(ctx, s)
	if err != nil {
		return err
	}
	defer tools.remove()
	j := job{settings: s, began: time.Now(), load: loadOfMachine(), machine: newReport(machineSpeed)}
	if j.load > 0.5 {
		log.Printf("the load of this machine was %.1f during the last minute: the figures will be worse than they are", j.load)
	}
	err = j.measure(ctx, tools, chosen)
	j.print(os.Stdout)
	if s.results == "" || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, j.keep(ctx))
}

// A job is one run of this program, and what it has measured.
type job struct {
	settings
	began   time.Time
	load    float64 // of the minute before
	machine report
	reports []report
	failed  []string // the comparisons that came to no end
}

// measure runs comparisons one after the other. One that fails does not keep the others from running.
func (j *job) measure(ctx context.Context, t *tools, chosen []comparison) error {
	var failed []error
	for _, c := range chosen {
		start := time.Now()
		err := sampleMachine(ctx, t, &j.machine)
		if err != nil {
			failed = append(failed, err)
		}
		r, err := c.run(ctx, t, j.rounds)
		if err != nil {
			failed = append(failed, err)
			j.failed = append(j.failed, c.name)
		}
		log.Printf("%s took %.0f s", c.name, time.Since(start).Seconds())
		j.reports = append(j.reports, r)
		if !j.markdown {
			r.writeText(os.Stdout)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// print prints what the whole says.
func (j *job) print(out io.Writer) {
	writeMachine(out, j.machine)
	if j.markdown {
		writeMarkdown(out, j.reports)
	} else {
		writeVerdicts(out, j.reports)
	}
}

// keep writes the results into their folder, and draws them beside those that are there.
func (j *job) keep(ctx context.Context) error {
	c, err := currentCommit(ctx)
	if err != nil {
		return err
	}
	r := newResults(j.began, c, j.load, j.rounds, j.machine, j.reports, j.failed)
	if err := r.write(j.results); err != nil {
		return err
	}
	log.Printf("%s has the results, plot.svg beside it all of them", filepath.Join(j.results, r.file()))
	return plotFile(j.results)
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
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
	mpirun   string
	python   string
}

func (s *settings) declare(f *flag.FlagSet) {
	launcher := "mpirun --oversubscribe --bind-to none"
	if os.Geteuid() == 0 {
		launcher += " --allow-run-as-root"
	}
	f.StringVar(&s.cases, "cases", "", "run only these comparisons: "+strings.Join(comparisonNames(), ", "))
	f.IntVar(&s.rounds, "rounds", 3, "how often the programs take turns")
	f.BoolVar(&s.markdown, "markdown", false, "print the tables of docs/benchmarks.md")
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
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	tools, err := build(ctx, s)
	if err != nil {
		return err
	}
	defer tools.remove()
	warnOfLoad()
	var reports []report
	var failed []error
	for _, c := range chosen {
		start := time.Now()
		r, err := c.run(ctx, tools, s.rounds)
		if err != nil {
			failed = append(failed, err)
		}
		log.Printf("%s took %.0f s", c.name, time.Since(start).Seconds())
		reports = append(reports, r)
		if !s.markdown {
			r.writeText(os.Stdout)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if s.markdown {
		writeMarkdown(os.Stdout, reports)
	}
	return errors.Join(failed...)
}

// warnOfLoad says when something else runs on the machine.
func warnOfLoad() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err == nil && load > 0.5 {
		log.Printf("the load of this machine was %.1f during the last minute: the figures will be worse than they are", load)
	}
}

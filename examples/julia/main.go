// Command julia renders a Julia set to a PNG file. Each row is a call of a
// task that runs in wasm.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/wasmpool/wasmpool/examples/julia/set"
	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func main() {
	s := settings{c: complex(-0.8, 0.156)}
	s.declare(flag.CommandLine)
	flag.Parse()
	err := executor.Run(context.Background(), executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
		return render(ctx, ex, s, os.Stdout, forBar())
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(executor.ExitCode(err))
	}
}

// forBar returns where the bar is drawn: nowhere when standard error is no terminal, as under mpirun.
func forBar() io.Writer {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return io.Discard
	}
	return os.Stderr
}

// settings are what the command line says.
type settings struct {
	tasks, out                string
	width, height, iterations uint
	c                         complex128
}

func (s *settings) declare(f *flag.FlagSet) {
	f.StringVar(&s.tasks, "tasks", "examples/julia/tasks", "folder of the task package")
	f.StringVar(&s.out, "out", "julia.png", "file to write")
	f.UintVar(&s.width, "width", 1600, "width in pixels")
	f.UintVar(&s.height, "height", 1000, "height in pixels")
	f.UintVar(&s.iterations, "iterations", 1000, "after which a point counts as one of the set")
	f.Func("c", "the constant of z² + c (default -0.8+0.156i)", func(text string) (err error) {
		s.c, err = strconv.ParseComplex(text, 128)
		return err
	})
}

// picture returns the picture's first row.
func (s settings) picture() (set.Row, error) {
	r := set.Row{
		Width: uint32(min(s.width, 1<<31)), Height: uint32(min(s.height, 1<<31)),
		Iterations: uint32(min(s.iterations, 1<<31)),
		Reach:      1.6, C: s.c,
	}
	return r, r.Validate()
}

// render draws the picture on the pool and writes it. It says how it goes on
// progress, and what it did on out.
func render(ctx context.Context, ex *executor.Executor, s settings, out, progress io.Writer) error {
	first, err := s.picture()
	if err != nil {
		return err
	}
	tasks, err := wasmtasks.Build(ctx, s.tasks)
	if err != nil {
		return err
	}
	if err := ex.Load(tasks); err != nil {
		return err
	}
	start := time.Now()
	img, err := draw(ctx, ex, first, progress)
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if err := write(s.out, img); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d x %d pixels of the Julia set of z² + %v, %d calls in %.2f s\n",
		s.out, s.width, s.height, s.c, s.height, seconds)
	return report(ctx, ex, out)
}

// draw calls the task once for each row.
func draw(ctx context.Context, ex *executor.Executor, first set.Row, progress io.Writer) (image.Image, error) {
	img := image.NewNRGBA(image.Rect(0, 0, int(first.Width), int(first.Height)))
	bar := progressbar.NewOptions(int(first.Height),
		progressbar.OptionSetWriter(progress),
		progressbar.OptionSetDescription("rows"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(40),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(progress) }),
	)
	line := img.Pix
	for pixels, err := range ex.Map(ctx, "row", rows(first)) {
		if err != nil {
			return nil, err
		}
		for x := range int(first.Width) {
			copy(line[4*x:], pixels[3*x:3*x+3])
			line[4*x+3] = 0xff
		}
		line = line[img.Stride:]
		bar.Add(1) //nolint:errcheck // the bar is decoration
	}
	return img, nil
}

// rows returns the arguments of all rows of a picture.
func rows(r set.Row) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for r.Y = range r.Height {
			if arg, err := r.Encode(); err != nil || !yield(arg) {
				return
			}
		}
	}
}

// write writes the picture to a file.
func write(path string, img image.Image) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(file, img), file.Close())
}

// report prints which worker ran how many calls.
func report(ctx context.Context, ex *executor.Executor, out io.Writer) error {
	stats, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	for _, w := range stats.Workers {
		fmt.Fprintf(out, "rank %d: %d calls (slots: %d)\n", w.Rank, w.Calls, w.Slots)
	}
	return nil
}

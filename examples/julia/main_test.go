package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// small is a picture that takes little time.
func small(t *testing.T) settings {
	t.Helper()
	return settings{
		tasks: "tasks", out: filepath.Join(t.TempDir(), "julia.png"),
		width: 160, height: 100, iterations: 500, c: complex(-0.8, 0.156),
	}
}

func TestRenderAlone(t *testing.T) {
	t.Parallel()
	s := small(t)
	var out, progress bytes.Buffer
	err := executor.Run(t.Context(), executor.Config{RootSlots: 2}, func(ctx context.Context, ex *executor.Executor) error {
		return render(ctx, ex, s, &out, &progress)
	})
	if err != nil {
		t.Fatal(err)
	}
	checkPicture(t, s)
	if !strings.Contains(out.String(), "rank 0: 100 calls (slots: 2)") {
		t.Errorf("printed %q", out.String())
	}
	if !strings.Contains(progress.String(), "100%") {
		t.Errorf("progress %q", progress.String())
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*settings){
		"no width":      func(s *settings) { s.width = 0 },
		"huge":          func(s *settings) { s.height = 1 << 40 },
		"no iterations": func(s *settings) { s.iterations = 0 },
		"no tasks":      func(s *settings) { s.tasks = "nowhere" },
		"no folder":     func(s *settings) { s.out = filepath.Join(s.out, "gone.png") },
	} {
		s := small(t)
		change(&s)
		err := executor.Run(t.Context(), executor.Config{RootSlots: 1}, func(ctx context.Context, ex *executor.Executor) error {
			return render(ctx, ex, s, io.Discard, io.Discard)
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// checkPicture fails the test unless the file holds the picture of the
// settings: that which the same mathematics draw without wasm, and, whoever
// draws it, one that is the same when turned by half a turn and has many
// colours.
func checkPicture(t *testing.T, s settings) {
	t.Helper()
	img := read(t, s.out)
	if got, want := img.Bounds(), image.Rect(0, 0, int(s.width), int(s.height)); got != want {
		t.Fatalf("bounds %v, want %v", got, want)
	}
	row, err := s.picture()
	if err != nil {
		t.Fatal(err)
	}
	colours := map[color.Color]bool{}
	for row.Y = range row.Height {
		y, pixels := int(row.Y), row.Pixels()
		for x := range int(s.width) {
			got := img.At(x, y)
			colours[got] = true
			want := color.RGBA{R: pixels[3*x], G: pixels[3*x+1], B: pixels[3*x+2], A: 0xff}
			if got != want {
				t.Fatalf("pixel %d, %d is %v, natively %v", x, y, got, want)
			}
			if turned := img.At(int(s.width)-1-x, int(s.height)-1-y); got != turned {
				t.Fatalf("pixel %d, %d is %v, its mirror image %v", x, y, got, turned)
			}
		}
	}
	if len(colours) < 1000 {
		t.Errorf("the picture has %d colours only", len(colours))
	}
}

func read(t *testing.T, path string) image.Image {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// loadGuest builds and compiles the module of testdata, once for all tests.
var loadGuest = sync.OnceValues(func() (*loaded, error) {
	m, err := wasmtasks.Build(context.Background(), "testdata/guest")
	if err != nil {
		return nil, err
	}
	h, err := host.New(host.Config{})
	if err != nil {
		return nil, err
	}
	module, err := h.Load(context.Background(), m)
	return &loaded{h, module}, err
})

type loaded struct {
	host   *host.Host
	module *host.Module
}

// TestMain keeps the tests out of the user's cache.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sdk-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv(host.CacheEnv, dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// guest runs the module of testdata in a slot of its own.
type guest struct {
	module *host.Module
	slot   *host.Slot
}

func newGuest(t testing.TB) *guest {
	t.Helper()
	l, err := loadGuest()
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{l.module, l.host.NewSlot()}
	t.Cleanup(func() {
		if err := g.slot.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *guest) task(t testing.TB, name string) *host.Task {
	t.Helper()
	task, err := g.module.Task(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func (g *guest) run(t testing.TB, name string, call host.Call) (string, error) {
	t.Helper()
	result, err := g.slot.Run(t.Context(), g.task(t, name), &call)
	return string(result), err
}

func TestGuest(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	long := string(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	tests := []struct{ task, arg, want string }{
		{"echo", "", ""},
		{"echo", "hello", "hello"},
		{"echo", long[:8<<10-16], long[:8<<10-16]}, // the most that fits the door
		{"echo", long[:8<<10-15], long[:8<<10-15]},
		{"echo", long, long},
		{"echo", long[1:20_000], long[1:20_000]}, // into the buffer of the one before
		{"echo", "short again", "short again"},
		{"double", "21", "42"},
		{"double", "0.1", "0.2"},
		{"double", " 1e300 ", "2e+300"},
		{"invert", `{"a":"b","c":"d"}`, `{"b":"a","d":"c"}`},
		{"wait", "HAL", "IBM"},
		{"add", "[40, 2]", "42"},
	}
	for _, tt := range tests {
		got, err := g.run(t, tt.task, host.Call{Arg: []byte(tt.arg)})
		if err != nil || got != tt.want {
			t.Errorf("%s(%.40q) = %.40q, %v, want %.40q", tt.task, tt.arg, got, err, tt.want)
		}
	}
}

func TestGuestAbout(t *testing.T) {
	t.Parallel()
	var lines []string
	call := host.Call{Number: 12, Attempt: 2, Rank: 3, Log: func(level int, line string) {
		lines = append(lines, fmt.Sprint(level, " ", line))
	}}
	got, err := newGuest(t).run(t, "about", call)
	if want := "12 2 3"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if diff := cmp.Diff([]string{"0 rank 3", "-4 done"}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestGuestFails(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	tests := []struct {
		task, arg string
		kind      host.Kind
		code      int
		message   string
	}{
		{"fail", "no luck", host.KindApplication, 1, "no luck"},
		{"fail", "code", host.KindApplication, 70, "no such star"},
		{"fail", "bad input", host.KindBadInput, 3, "no number"},
		{"fail", "panic", host.KindPanic, 2, "panic: index out of range [5] with length 5"},
		{"fail", "panic inside", host.KindPanic, 2, "panic: second"},
		{"double", "two", host.KindBadInput, 3, "invalid character 'w' in literal true (expecting 'r')"},
		{"double", "", host.KindBadInput, 3, "the argument is empty, want JSON"},
	}
	for _, tt := range tests {
		_, err := g.run(t, tt.task, host.Call{Arg: []byte(tt.arg)})
		var got *host.Error
		if !errors.As(err, &got) {
			t.Errorf("%s(%q): error %v", tt.task, tt.arg, err)
			continue
		}
		if got.Kind != tt.kind || got.Code != tt.code || got.Message != tt.message {
			t.Errorf("%s(%q): %v %d %q, want %v %d %q", tt.task, tt.arg, got.Kind, got.Code, got.Message, tt.kind, tt.code, tt.message)
		}
		if got.Kind == host.KindPanic && !strings.HasPrefix(got.Stack, "main.Fail(") && !strings.HasPrefix(got.Stack, "main.Fail.func") {
			t.Errorf("%s(%q): stack\n%s", tt.task, tt.arg, got.Stack)
		}
		if result, err := g.run(t, "echo", host.Call{Arg: []byte("x")}); err != nil || result != "x" {
			t.Errorf("after %s(%q): %q, %v", tt.task, tt.arg, result, err)
		}
	}
}

// A short call makes no garbage in the guest.
func TestGuestAllocates(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	mallocs := func() int {
		text, err := g.run(t, "mallocs", host.Call{Arg: []byte("0")})
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, task := range []string{"echo", "double"} {
		before := mallocs()
		for range 1000 {
			if _, err := g.run(t, task, host.Call{Arg: []byte("12.5")}); err != nil {
				t.Fatal(err)
			}
		}
		if n := mallocs() - before; n > 100 {
			t.Errorf("1000 calls of %s allocate %d times", task, n)
		}
	}
}

func BenchmarkGuest(b *testing.B) {
	g := newGuest(b)
	for _, bb := range []struct{ task, arg string }{
		{"add", "[1,2]"},
		{"echo", "8 bytes."},
		{"echo", strings.Repeat("x", 1000)},
		{"echo", strings.Repeat("x", 1<<20)},
		{"double", "12.5"},
		{"invert", `{"a":"b","c":"d"}`},
	} {
		b.Run(fmt.Sprintf("task=%s/arg=%d", bb.task, len(bb.arg)), func(b *testing.B) {
			task, call := g.task(b, bb.task), &host.Call{Arg: []byte(bb.arg)}
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.arg)))
			for b.Loop() {
				if _, err := g.slot.Run(b.Context(), task, call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

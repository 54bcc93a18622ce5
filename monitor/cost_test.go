package monitor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/monitor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// BenchmarkCost makes b.N calls that do nothing: alone, and while a page is open and the metrics
// are read each second. What is measured is one call. Wall times of one run differ more than what
// is to be seen: alternate runs of one and the other.
func BenchmarkCost(b *testing.B) {
	m, err := wasmtasks.LoadFile("../internal/bench/guest.wasm") // its echo does nothing
	if err != nil {
		b.Fatal(err)
	}
	for name, each := range map[string]func(context.Context, *executor.Executor, int) error{"Map": mapAll, "Submit": submitAll} {
		for _, watched := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/watched=%t", name, watched), func(b *testing.B) {
				ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{m}, RootSlots: 1})
				if err != nil {
					b.Fatal(err)
				}
				defer ex.Shutdown(context.WithoutCancel(b.Context())) //nolint:errcheck // the calls have told
				if watched {
					defer watch(b, ex)()
				}
				if err := each(b.Context(), ex, 1000); err != nil { // its code is there then
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				if err := each(b.Context(), ex, b.N); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// watch opens the page of a monitor and reads its metrics each second, until the returned function is called.
func watch(b *testing.B, ex *executor.Executor) (stop func()) {
	b.Helper()
	m, err := monitor.New(b.Context(), ex, monitor.Config{})
	if err != nil {
		b.Fatal(err)
	}
	server, err := monitor.Serve(b.Context(), "localhost:0", m)
	if err != nil {
		b.Fatal(err)
	}
	address, _, _ := strings.Cut(server.URL(), "#")
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		events := 0
		for line := range lines(ctx, address+"events") {
			events += strings.Count(line, "data:")
		}
		b.ReportMetric(float64(events), "updates")
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		for ctx.Err() == nil {
			for range lines(ctx, address+"metrics") {
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		<-ended
		server.Close()
		m.Close()
	}
}

// lines are the lines of an answer.
func lines(ctx context.Context, url string) iter.Seq[string] {
	return func(yield func(string) bool) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			panic(fmt.Sprint(url, " says ", resp.Status))
		}
		in := bufio.NewReader(resp.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil && err != io.EOF || line == "" || !yield(line) {
				return
			}
		}
	}
}

func mapAll(ctx context.Context, ex *executor.Executor, n int) error {
	for _, err := range ex.Map(ctx, "echo", arguments(n)) {
		if err != nil {
			return err
		}
	}
	return nil
}

func arguments(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for range n {
			if !yield([]byte("an argument")) {
				return
			}
		}
	}
}

func submitAll(ctx context.Context, ex *executor.Executor, n int) error {
	futures := make([]*executor.Future, 0, n)
	for arg := range arguments(n) {
		futures = append(futures, ex.Submit(ctx, "echo", arg))
	}
	for _, f := range futures {
		if _, err := f.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}

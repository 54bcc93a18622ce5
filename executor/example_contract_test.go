package executor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// start opens an executor for an example.
func start() (*executor.Executor, context.Context) {
	ex, err := executor.Local(executor.Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		log.Fatal(err)
	}
	return ex, context.Background()
}

func ExampleNewTyped() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	square := executor.NewTyped[float64, float64](ex, "square")
	out, err := square.Call(ctx, 12)
	fmt.Println(out, err)
	// Output: 144 <nil>
}

func ExampleFuture_OnDone() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	told := make(chan struct{})
	ex.Submit(ctx, "square", []byte("5")).OnDone(func(f *executor.Future) {
		fmt.Println(f)
		close(told)
	})
	<-told
	// Output: Future(square, finished)
}

func ExampleFuture_Then() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	out, err := ex.Submit(ctx, "square", []byte("3")).Then("square").Result(ctx)
	fmt.Printf("%s %v\n", out, err)
	// Output: 81 <nil>
}

func ExampleRetries() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	out, err := ex.Call(ctx, "third", nil, executor.Retries(executor.RetryPolicy{Attempts: 3, Backoff: time.Millisecond}))
	fmt.Printf("%s %v\n", out, err)
	// Output: attempt 3 <nil>
}

func ExampleExecutor_MapUnordered() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	var got []string
	for out, err := range ex.MapUnordered(ctx, "square", slices.Values([][]byte{[]byte("1"), []byte("2"), []byte("3")}), executor.Buffer(2)) {
		if err != nil {
			log.Fatal(err)
		}
		got = append(got, string(out))
	}
	slices.Sort(got)
	fmt.Println(got)
	// Output: [1 4 9]
}

func ExampleExecutor_MapIndexed() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	squares := make([]string, 3)
	for i, o := range ex.MapIndexed(ctx, "square", slices.Values([][]byte{[]byte("1"), []byte("2"), []byte("3")})) {
		if o.Err != nil {
			log.Fatal(o.Err)
		}
		squares[i] = string(o.Result)
	}
	fmt.Println(squares)
	// Output: [1 4 9]
}

func ExampleZip() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	xs, ys := slices.Values([][]byte{[]byte("1"), []byte("2")}), slices.Values([][]byte{[]byte("10"), []byte("20")})
	for out, err := range ex.Map(ctx, "sum", executor.Zip(xs, ys)) {
		fmt.Println(string(out), err)
	}
	// Output:
	// 11 <nil>
	// 22 <nil>
}

func ExampleWait() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	futures := []*executor.Future{ex.Submit(ctx, "square", []byte("2")), ex.Submit(ctx, "square", []byte("3"))}
	done, pending, err := executor.Wait(ctx, futures, executor.AllDone)
	fmt.Println(len(done), len(pending), err)
	// Output: 2 0 <nil>
}

func ExampleAsCompleted() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	futures := []*executor.Future{ex.Submit(ctx, "square", []byte("2")), ex.Submit(ctx, "square", []byte("two"))}
	for f, err := range executor.AsCompleted(ctx, futures) {
		fmt.Println(f, err)
	}
	// Output:
	// Future(square, finished) <nil>
	// Future(square, failed: bad_input) <nil>
}

func ExampleCollect() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	out, err := executor.Collect(ctx, []*executor.Future{ex.Submit(ctx, "square", []byte("2")), ex.Submit(ctx, "square", []byte("3"))})
	fmt.Printf("%s %v\n", out, err)
	// Output: [4 9] <nil>
}

func ExampleExecutor_SubmitBatch() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	batch := ex.SubmitBatch(ctx, "square", slices.Values([][]byte{[]byte("2"), []byte("3")}))
	out, err := batch.Results(ctx)
	fmt.Printf("%s %v\n", out, err)
	fmt.Println(batch)
	// Output:
	// [4 9] <nil>
	// Batch(2 of 2 finished)
}

func ExampleExecutor_Stream() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	s := ex.Stream(ctx, "square", slices.Values([][]byte{[]byte("2"), []byte("3")}))
	for range 3 {
		out, err := s.Next(ctx)
		fmt.Printf("%s %v\n", out, err)
	}
	// Output:
	// 4 <nil>
	// 9 <nil>
	//  EOF
}

// Two executors, one set of workers.
func ExampleExecutor_Fork() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	for range 2 {
		fork := ex.Fork()
		out, err := fork.Call(ctx, "square", []byte("4"))
		fmt.Printf("%s %v\n", out, err)
		fmt.Println(fork.Shutdown(ctx), fork.Closed(), ex.Closed())
	}
	// Output:
	// 16 <nil>
	// <nil> true false
	// 16 <nil>
	// <nil> true false
}

// A call that runs too long is stopped, whatever its task does.
func ExampleTimeout() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	_, err := ex.Call(ctx, "forever", nil, executor.Timeout(50*time.Millisecond))
	fmt.Println(errors.Is(err, context.DeadlineExceeded), err)
	// Output: true executor: task "forever" failed on rank 0 (timeout): it ran for 50ms, its limit
}

func ExampleFuture_Kill() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	f := ex.Submit(ctx, "forever", nil)
	fmt.Println(f.Kill("nobody waits for it"))
	fmt.Println(errors.Is(f.Err(ctx), executor.ErrKilled))
	// Output:
	// true
	// true
}

// The one slot takes the calls that wait by their priority.
func ExamplePriority() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	high := ex.Submit(ctx, "square", []byte("2"), executor.Priority(executor.MaxPriority))
	out, err := high.Result(ctx)
	fmt.Printf("%s %v\n", out, err)
	// Output: 4 <nil>
}

// An input that fails ends the map with its error, after the results before it.
func ExampleExecutor_MapFrom() {
	ex, ctx := start()
	defer ex.Shutdown(ctx)
	input := func(yield func([]byte, error) bool) {
		_ = yield([]byte("3"), nil) && yield(nil, errors.New("the disk is gone"))
	}
	for out, err := range ex.MapFrom(ctx, "square", input) {
		fmt.Printf("%s %v\n", out, err)
	}
	// Output:
	// 9 <nil>
	//  the disk is gone
}

// Package otelspans makes OpenTelemetry spans of the runs of calls, as children of the span in whose context the program
// submitted them. Whoever does not import it does not get go.opentelemetry.io/otel.
//
//	end, err := otelspans.Start(ctx, ex, provider) // once a pool
//	if err != nil {
//		return err
//	}
//	defer end()
//	...
//	future := ex.Submit(ctx, "square", arg, otelspans.Parent(ctx))
//
// A span has the name of the task and the times at which the run began and ended on its worker. Each attempt of a call that runs again has a span of
// its own. Attributes say which call it was (wasmpool.call, wasmpool.attempt), where it ran (wasmpool.rank, wasmpool.slot, host.name), how long it waited on the
// root (wasmpool.queued, in seconds), and what it used where that is known (wasmpool.instructions, wasmpool.memory, in bytes). A
// failure sets the status, error.type to its kind, and has an event "exception"; an event "retry" says that the call runs again.
//
// Calls without [Parent] have no span, nor have those whose parent the provider's sampler does not take, as is usual. The
// feed is bounded, see [feed.Update]: above 10,000 runs a second there are spans of failures, of the longest runs and of a sample. Spans come up
// to a tenth of a second after their runs have ended.
package otelspans

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/internal/plain"
)

// scope is the name under which spans are made.
const scope = "github.com/wasmpool/wasmpool/monitor/otelspans"

// parent is what Parent attaches to a call.
type parent struct{ span trace.SpanContext }

// Parent makes the spans of a call's runs, or of the runs of all calls of a map, children of the span in ctx. It uses [executor.Attach].
func Parent(ctx context.Context) executor.CallOption {
	return executor.Attach(parent{trace.SpanContextFromContext(ctx)})
}

// every is the time from one update to the next: so many runs have records that way.
const every = 100 * time.Millisecond

// Start makes spans of the runs that end from now on in the pool of ex, until that or ctx ends, or end is called, which
// waits a tenth of a second for what has happened before. Flush the provider after that.
func Start(ctx context.Context, ex *executor.Executor, provider trace.TracerProvider) (end func(), err error) {
	tracer := provider.Tracer(scope)
	wait, err := feed.Follow(ex.Watch(ctx, every), func(u *feed.Update) error {
		Record(tracer, u)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = wait() }, nil // it can only say that the pool or ctx has ended
}

// Record makes spans of the runs of an update: for programs that watch their pool in any case.
func Record(tracer trace.Tracer, u *feed.Update) {
	for i := range u.Runs {
		if p, ok := u.Runs[i].Attached.(parent); ok {
			record(tracer, &u.Runs[i], p.span)
		}
	}
}

// record makes the span of a run.
func record(tracer trace.Tracer, r *feed.Run, of trace.SpanContext) {
	ctx := trace.ContextWithSpanContext(context.Background(), of)
	_, span := tracer.Start(ctx, text(r.Task), trace.WithTimestamp(r.Began))
	if span.IsRecording() {
		span.SetAttributes(attributes(r)...)
		if r.Err != nil {
			fail(span, r)
		}
		if r.Again {
			span.AddEvent("retry", trace.WithTimestamp(r.Ended), trace.WithAttributes(attribute.Int("wasmpool.attempt", r.Attempt+1)))
		}
	}
	span.End(trace.WithTimestamp(r.Ended))
}

// attributes says which run it was.
func attributes(r *feed.Run) []attribute.KeyValue {
	list := []attribute.KeyValue{
		attribute.Int64("wasmpool.call", int64(r.Call)), attribute.Int("wasmpool.attempt", r.Attempt), attribute.Int("wasmpool.rank", r.Rank),
		attribute.String("host.name", text(r.Host)), attribute.Float64("wasmpool.queued", r.Queued.Seconds()),
	}
	if r.Slot >= 0 {
		list = append(list, attribute.Int("wasmpool.slot", r.Slot))
	}
	if r.Measured {
		list = append(list, attribute.Int64("wasmpool.instructions", int64(r.Instructions)), attribute.Int64("wasmpool.memory", int64(r.Memory)))
	}
	return list
}

// fail says how a run failed.
func fail(span trace.Span, r *feed.Run) {
	message, kind, stack := r.Err.Error(), "_OTHER", ""
	var failed *executor.TaskError
	if errors.As(r.Err, &failed) {
		message, kind, stack = failed.Message, failed.Kind.String(), failed.Stack
	}
	span.SetStatus(codes.Error, text(message))
	span.SetAttributes(attribute.String("error.type", kind))
	about := []attribute.KeyValue{attribute.String("exception.type", kind), attribute.String("exception.message", text(message))}
	if stack != "" {
		about = append(about, attribute.String("exception.stacktrace", text(stack)))
	}
	span.AddEvent("exception", trace.WithTimestamp(r.Ended), trace.WithAttributes(about...))
}

// mostText is how many bytes of a text a span has.
const mostText = 4096

// text returns a text of a guest as spans can have it: its beginning, as UTF-8, which exporters insist on.
func text(s string) string {
	if len(s) > mostText {
		s = s[:mostText]
	}
	return plain.Text(s)
}

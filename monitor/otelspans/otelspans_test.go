package otelspans_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/monitor/otelspans"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestSpans runs calls in the context of spans, and looks at the spans that come of it.
func TestSpans(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	tracer := provider.Tracer("test")
	ex, err := executor.Local(executor.Config{RootSlots: 2, Modules: []*wasmtasks.Module{guesttest.Build(t, "../../executor/testdata/tasks")}})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Shutdown(context.Background())
	end, err := otelspans.Start(ctx, ex, provider)
	if err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	outer, span := tracer.Start(ctx, "outer")
	if _, err := ex.Call(outer, "echo", []byte("x"), otelspans.Parent(outer)); err != nil {
		t.Fatal(err)
	}
	if _, err := ex.Call(outer, "third", nil, executor.Retries(executor.RetryPolicy{Attempts: 3}), otelspans.Parent(outer)); err != nil {
		t.Fatal(err)
	}
	if _, err := ex.Call(outer, "fail", []byte("bad\xff"+strings.Repeat("x", 1<<16)), otelspans.Parent(outer)); err == nil {
		t.Fatal("fail has not failed")
	}
	span.End()
	apart, other := tracer.Start(ctx, "apart")
	for _, err := range ex.Map(apart, "none", slices.Values([][]byte{nil, nil}), otelspans.Parent(apart)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	other.End()
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	quiet, _ := unsampled.Tracer("test").Start(ctx, "quiet")
	for _, opts := range [][]executor.CallOption{nil, {otelspans.Parent(quiet)}} { // neither has a span
		if _, err := ex.Call(ctx, "echo", nil, opts...); err != nil {
			t.Fatal(err)
		}
	}
	end()

	count := map[string]int{}
	for _, s := range exporter.GetSpans() {
		if s.Name == "outer" || s.Name == "apart" {
			continue
		}
		count[s.Name]++
		want := span.SpanContext()
		if s.Name == "none" {
			want = other.SpanContext()
		}
		if s.Parent.SpanID() != want.SpanID() || s.SpanContext.TraceID() != want.TraceID() {
			t.Errorf("%s is not a child of the span that it was submitted in", s.Name)
		}
		if s.StartTime.Before(began.Add(-time.Second)) || s.EndTime.Before(s.StartTime) || s.EndTime.After(time.Now().Add(time.Second)) {
			t.Errorf("%s from %v to %v, after %v", s.Name, s.StartTime, s.EndTime, began)
		}
		checkSpan(t, &s)
	}
	if len(count) != 4 || count["echo"] != 1 || count["third"] != 3 || count["fail"] != 1 || count["none"] != 2 {
		t.Errorf("spans: %v, want one of echo and fail, three of third, and two of none", count)
	}
	if err := ex.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := otelspans.Start(ctx, ex, provider); err == nil {
		t.Error("a pool that has ended can be watched")
	}
}

// checkSpan checks what the span of a run says.
func checkSpan(t *testing.T, s *tracetest.SpanStub) {
	t.Helper()
	said := map[string]string{}
	for _, a := range s.Attributes {
		said[string(a.Key)] = a.Value.String()
	}
	for _, key := range []string{"wasmpool.call", "wasmpool.attempt", "wasmpool.rank", "host.name", "wasmpool.queued"} {
		if said[key] == "" {
			t.Errorf("%s does not say its %s", s.Name, key)
		}
	}
	var events []string
	for _, e := range s.Events {
		events = append(events, e.Name)
	}
	got := strings.Join(events, ", ")
	failed, again := s.Status.Code == codes.Error, strings.Contains(got, "retry")
	switch s.Name {
	case "third":
		if last := said["wasmpool.attempt"] == "3"; failed == last || again == last {
			t.Errorf("attempt %s of third: failed %t, events: %s", said["wasmpool.attempt"], failed, got)
		}
	case "fail":
		if !failed || again || said["error.type"] != "application" || got != "exception" || !utf8.ValidString(s.Status.Description) || len(s.Status.Description) > 5000 {
			t.Errorf("fail: %v, %v, events: %s", s.Status.Code, said, got)
		}
	default:
		if failed || got != "" {
			t.Errorf("%s: failed %t, events: %s", s.Name, failed, got)
		}
	}
}

package monitor

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wasmpool/wasmpool/feed"
)

// mostTaskLabels is how many tasks have series of their own: each has about 80. Others have theirs together, as [OtherTasks].
const mostTaskLabels = 100

// metrics is what Prometheus reads: sums of all updates, and the last one.
type metrics struct {
	registry *prometheus.Registry // of its own: that of the program stays as it is
	handler  http.Handler

	mu      sync.Mutex
	tasks   map[string]*feed.Task // by label
	updates uint64
	omitted uint64
	last    *feed.Update // nil before the first
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), tasks: map[string]*feed.Task{}}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError})
	return m
}

// ServeHTTP writes all metrics in the format that the client asks for.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// take adds an update.
func (m *metrics) take(u *feed.Update) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = u
	m.updates++
	m.omitted += u.Omitted
	for i := range u.Tasks {
		m.task(u.Tasks[i].Name).Merge(&u.Tasks[i])
	}
}

// task returns the sums of a task.
func (m *metrics) task(name string) *feed.Task {
	label := line(name)
	if m.tasks[label] == nil && len(m.tasks) >= mostTaskLabels {
		label = OtherTasks
	}
	if m.tasks[label] == nil {
		m.tasks[label] = &feed.Task{Name: label}
	}
	return m.tasks[label]
}

// A metric is a number that has a name and a meaning.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

// counter describes a number that only grows. Its name ends with its unit, where it has one, and "_total".
func counter[T any](name, unit, help string, labels []string, value func(T) float64) metric[T] {
	return metric[T]{describe(name, unit, help, labels), prometheus.CounterValue, value}
}

// gauge describes a number that goes up and down.
func gauge[T any](name, unit, help string, labels []string, value func(T) float64) metric[T] {
	return metric[T]{describe(name, unit, help, labels), prometheus.GaugeValue, value}
}

func describe(name, unit, help string, labels []string) *prometheus.Desc {
	return prometheus.V2.NewDesc("wasmpool_"+name, help, prometheus.UnconstrainedLabels(labels), nil, prometheus.WithUnit(unit))
}

// What series are told apart by.
var (
	byTask   = []string{"task"}
	byKind   = []string{"task", "kind"}
	byWorker = []string{"rank", "host"}
)

// poolMetrics are of the pool as a whole.
var poolMetrics = []metric[*feed.Update]{
	counter("calls_submitted_total", "", "Calls that were handed in, since the pool began.", nil, func(u *feed.Update) float64 { return float64(u.Submitted) }),
	counter("calls_done_total", "", "Calls that ended with a result, since the pool began.", nil, func(u *feed.Update) float64 { return float64(u.Done) }),
	counter("calls_failed_total", "", "Calls that ended with a failure, since the pool began.", nil, func(u *feed.Update) float64 { return float64(u.Failed) }),
	counter("calls_cancelled_total", "", "Calls that ended without result or failure, since the pool began.", nil, func(u *feed.Update) float64 { return float64(u.Cancelled) }),
	counter("calls_retried_total", "", "Further attempts of calls, after a failure or the loss of a worker, since the pool began.", nil, func(u *feed.Update) float64 { return float64(u.Retried) }),
	gauge("calls_queued", "", "Calls that wait for a worker.", nil, func(u *feed.Update) float64 { return float64(u.Queued) }),
	gauge("calls_in_flight", "", "Calls that workers have.", nil, func(u *feed.Update) float64 { return float64(u.InFlight) }),
	gauge("calls_resting", "", "Calls that failed, and wait for their next attempt.", nil, func(u *feed.Update) float64 { return float64(u.Resting) }),
	gauge("workers_awaited", "", "Workers that have not joined yet.", nil, func(u *feed.Update) float64 { return float64(u.Awaited) }),
	counter("workers_joined_total", "", "Workers that have joined.", nil, func(u *feed.Update) float64 { return float64(len(u.Workers)) }),
	counter("workers_lost_total", "", "Workers that were lost.", nil, func(u *feed.Update) float64 { return float64(countLost(u)) }),
	gauge("feed_update_timestamp_seconds", "seconds", "When the last update came that these numbers are of, in seconds since 1970.", nil, func(u *feed.Update) float64 { return float64(u.End.UnixMicro()) / 1e6 }),
}

// workerMetrics are of each worker.
var workerMetrics = []metric[*feed.Worker]{
	gauge("worker_slots", "", "Slots of the worker, 0 when it is lost.", byWorker, func(w *feed.Worker) float64 { return float64(liveSlots(w)) }),
	gauge("worker_in_flight", "", "Calls that the worker has.", byWorker, func(w *feed.Worker) float64 { return float64(w.InFlight) }),
	counter("worker_runs_total", "", "Runs that the worker ended.", byWorker, func(w *feed.Worker) float64 { return float64(w.Runs) }),
	counter("worker_busy_seconds_total", "seconds", "How long the runs that the worker ended took, over all its slots.", byWorker, func(w *feed.Worker) float64 { return w.Ran.Seconds() }),
	gauge("worker_silence_seconds", "seconds", "How long ago the worker last said anything but its pulse.", byWorker, func(w *feed.Worker) float64 { return w.Heard.Seconds() }),
	gauge("worker_lost", "", "1 when the worker is lost, else 0.", byWorker, func(w *feed.Worker) float64 { return float64(oneIf(w.Lost)) }),
}

// taskMetrics are of the runs of each task, since the watch began.
var taskMetrics = []metric[*feed.Task]{
	counter("runs_done_total", "", "Runs that ended with a result.", byTask, func(t *feed.Task) float64 { return float64(t.Done) }),
	counter("runs_repeated_total", "", "Failed runs after which the call ran again.", byTask, func(t *feed.Task) float64 { return float64(t.Again) }),
	counter("argument_bytes_total", "bytes", "Bytes of arguments of runs.", byTask, func(t *feed.Task) float64 { return float64(t.In) }),
	counter("result_bytes_total", "bytes", "Bytes of results of runs.", byTask, func(t *feed.Task) float64 { return float64(t.Out) }),
	counter("runs_measured_total", "", "Runs whose instructions and memory are known: those of 30 microseconds or more, and those with limits.", byTask, func(t *feed.Task) float64 { return float64(t.Measured) }),
	counter("instructions_total", "", "Instructions that measured runs executed.", byTask, func(t *feed.Task) float64 { return float64(t.Instructions) }),
	gauge("guest_memory_max_bytes", "bytes", "The most memory that a measured run had.", byTask, func(t *feed.Task) float64 { return float64(t.Memory) }),
}

// times are histograms of each task.
var times = []struct {
	desc *prometheus.Desc
	of   func(*feed.Task) *feed.Durations
}{
	{describe("run_duration_seconds", "seconds", "How long runs took.", byTask), func(t *feed.Task) *feed.Durations { return &t.Ran }},
	{describe("queue_duration_seconds", "seconds", "How long the calls of runs waited on the root before.", byTask), func(t *feed.Task) *feed.Durations { return &t.Queued }},
}

// Metrics that are no number of one of those.
var (
	failedDesc  = describe("runs_failed_total", "", "Runs that failed, by the kind of failure, also where the call ran again.", byKind)
	omittedDesc = describe("feed_runs_omitted_total", "", "Runs of which there is no record, as too many ended; all other numbers count them.", nil)
	updatesDesc = describe("feed_updates_total", "", "Updates that these numbers are made of.", nil)
)

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, one := range poolMetrics {
		to <- one.desc
	}
	for _, one := range workerMetrics {
		to <- one.desc
	}
	for _, one := range taskMetrics {
		to <- one.desc
	}
	for _, one := range times {
		to <- one.desc
	}
	to <- failedDesc
	to <- omittedDesc
	to <- updatesDesc
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for _, one := range m.all() {
		to <- one
	}
}

// all returns all series. It keeps the monitor waiting for as long as it takes to copy them.
func (m *metrics) all() []prometheus.Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		return nil
	}
	list := appendAll(nil, poolMetrics, m.last)
	for i := range m.last.Workers {
		w := &m.last.Workers[i]
		list = appendAll(list, workerMetrics, w, strconv.Itoa(w.Rank), line(w.Host))
	}
	for label, t := range m.tasks {
		list = appendAll(list, taskMetrics, t, label)
		list = appendFailed(list, t, label)
		for _, one := range times {
			list = append(list, histogram(one.desc, one.of(t), label))
		}
	}
	return append(list, number(omittedDesc, prometheus.CounterValue, float64(m.omitted)), number(updatesDesc, prometheus.CounterValue, float64(m.updates)))
}

// appendAll appends series of one thing.
func appendAll[T any](list []prometheus.Metric, metrics []metric[T], of T, labels ...string) []prometheus.Metric {
	for _, one := range metrics {
		list = append(list, number(one.desc, one.kind, one.value(of), labels...))
	}
	return list
}

// appendFailed appends how many runs of a task failed, by kind.
func appendFailed(list []prometheus.Metric, t *feed.Task, label string) []prometheus.Metric {
	unknown := t.Failed
	for kind, n := range t.Kinds {
		list = append(list, number(failedDesc, prometheus.CounterValue, float64(n), label, kind.String()))
		unknown -= n
	}
	if unknown > 0 {
		list = append(list, number(failedDesc, prometheus.CounterValue, float64(unknown), label, "unknown"))
	}
	return list
}

func number(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

// The bounds of histograms are the sizes of durations that are powers of two, from a microsecond to five hours.
const (
	firstBound = 36  // 2^10 ns
	lastBound  = 172 // 2^44 ns
	boundStep  = 4
)

// histogram returns how many durations there are below each bound.
func histogram(desc *prometheus.Desc, d *feed.Durations, labels ...string) prometheus.Metric {
	below := map[float64]uint64{}
	var n uint64
	for size, count := range d.Sizes[:lastBound+1] {
		if size >= firstBound && size%boundStep == 0 {
			below[feed.Least(size).Seconds()] = n
		}
		n += count
	}
	m, err := prometheus.NewConstHistogram(desc, d.Count, d.Sum.Seconds(), below, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

// countLost returns how many workers are lost.
func countLost(u *feed.Update) (n int) {
	for i := range u.Workers {
		n += oneIf(u.Workers[i].Lost)
	}
	return n
}

// liveSlots returns how many slots of a worker can run calls.
func liveSlots(w *feed.Worker) int {
	if w.Lost {
		return 0
	}
	return w.Slots
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

package bench

// groups returns all cases in the order in which they run: those that need
// little memory first, as a process does not give all of it back.
func groups() []group {
	return []group{
		{cases: []benchCase{{"start", "ms"}}, n: 1, costly: true, once: true, measure: measureStart},
		{cases: []benchCase{{"submit", "calls/s"}}, n: 100_000, measure: measureSubmit},
		{cases: []benchCase{{"map", "calls/s"}}, n: 1_000_000, measure: measureMap},
		{cases: []benchCase{{"latency_busy", "µs"}, {"latency_busy_p99", "µs"}}, n: 20_000, measure: measureBusy},
		{cases: []benchCase{{"latency_idle", "µs"}}, n: 4, costly: true, measure: measureIdle},
		{cases: []benchCase{{"idle_cpu_root", "%"}, {"idle_cpu_worker", "%"}}, n: 1, costly: true, measure: measureIdleCPU},
		{cases: []benchCase{{"map_rss", "MiB"}}, n: 10_000_000, once: true, measure: measureMapRSS},
		{cases: []benchCase{{"echo_64KiB", "GB/s"}}, n: 8000, costly: true, measure: measureEcho(64 << 10)},
		{cases: []benchCase{{"echo_1MiB", "GB/s"}}, n: 400, costly: true, measure: measureEcho(1 << 20)},
		{cases: []benchCase{{"echo_64MiB", "GB/s"}}, n: 12, costly: true, measure: measureEcho(64 << 20)},
		{cases: []benchCase{{"bytes_per_future", "B"}}, n: 1_000_000, once: true, measure: measureFutures},
		{cases: []benchCase{{"scheduler_ratio_4096", "ratio"}}, n: 200_000, measure: measureScheduler},

		{cases: []benchCase{{"cpu_root", "ns"}, {"cpu_worker", "ns"}}, n: 4_000_000, extra: true, measure: measureCPU},
		{cases: []benchCase{{"echo_1GiB", "GB/s"}}, n: 1, costly: true, once: true, extra: true, measure: measureEcho(1 << 30)},
		{cases: []benchCase{{"julia", "calls/s"}}, n: juliaRows, extra: true, measure: measureLoad(juliaLoad)},
		{cases: []benchCase{{"julia_serial", "calls/s"}}, n: juliaRows, extra: true, measure: measureSerial(juliaLoad)},
		{cases: []benchCase{{"mixed", "calls/s"}}, n: mixedCalls, extra: true, measure: measureLoad(mixedLoad)},
		{cases: []benchCase{{"mixed_serial", "calls/s"}}, n: mixedCalls, extra: true, measure: measureSerial(mixedLoad)},
	}
}

// Names returns the names of all cases: the standard ones, then the others.
func Names() []string { return append(names(false), names(true)...) }

// Standard returns the names of the cases that run by default.
func Standard() []string { return names(false) }

func names(extra bool) []string {
	var list []string
	for _, g := range groups() {
		for _, c := range g.cases {
			if g.extra == extra {
				list = append(list, c.name)
			}
		}
	}
	return list
}

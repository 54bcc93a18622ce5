package main

import "strconv"

// comparisons are all there are. Their goals are the promises of the project: multiples of what a
// floor or a peer does in the same round, so that they hold on any machine; beside them only CPU
// and memory, which no other program does the same work with.
var comparisons = []comparison{
	{
		name: "submit", title: "Submit, then all results: 8-byte calls a second, 3 ranks",
		programs: []program{
			our(3, "submit"),
			{subject: "MPI in C", tool: floor, ranks: 3, args: []string{"farm_1", "farm_16", "farm_64"}},
			peer("mpi4py", 3, nil, "submit"),
			peer("mpi4py, backoff 0", 3, []string{"MPI4PY_FUTURES_BACKOFF=0"}, "submit"),
			peer("mpi4py, backoff 0, Python 3.10's sleep", 3, []string{"MPI4PY_FUTURES_BACKOFF=0", "PEER_SLEEP=3.10"}, "submit"),
			peer("mpi4py, timer slack 1 ns", 3, []string{"PEER_SLEEP=slack"}, "submit"),
			pool("ProcessPool", processPool, 0, "submit"),
		},
		goals: []goal{
			{name: "Submit : MPI in C, 16 in flight", unit: "×", must: 1, aim: 1.5, derive: ratio("wasmpool submit", "MPI in C farm_16")},
			{name: "Submit : mpi4py as it comes", unit: "×", must: 60, derive: ratio("wasmpool submit", "mpi4py submit")},
			{name: "Submit : mpi4py tuned", unit: "×", must: 10, derive: ratio("wasmpool submit",
				"mpi4py submit", "mpi4py, backoff 0 submit", "mpi4py, backoff 0, Python 3.10's sleep submit", "mpi4py, timer slack 1 ns submit")},
		},
	},
	{
		name: "map", title: "Map: 8-byte calls a second, 3 ranks, or 2 processes of ProcessPool",
		programs: []program{
			our(3, "map"),
			{subject: "MPI in C", tool: floor, ranks: 3, args: []string{"farm_batch"}},
			pool("schwimmbad", schwimmbad, 3, "map_1", "map_100", "map_1000"),
			pool("ProcessPool", processPool, 0, "map_1", "map_100", "map_1000"),
			peer("mpi4py", 3, nil, "map_1", "map_100", "map_1000"),
			peer("mpi4py, backoff 0", 3, []string{"MPI4PY_FUTURES_BACKOFF=0"}, "map_1000"),
		},
		goals: []goal{
			{name: "Map untuned : schwimmbad's best hand chunk", unit: "×", must: 1.5, aim: 3, derive: ratio("wasmpool map", "schwimmbad map_100", "schwimmbad map_1000")},
			{name: "Map untuned : ProcessPool's best chunk", unit: "×", must: 1, derive: ratio("wasmpool map", "ProcessPool map_1", "ProcessPool map_100", "ProcessPool map_1000")},
			{name: "Map untuned : mpi4py's best chunk", unit: "×", must: 1, derive: ratio("wasmpool map",
				"mpi4py map_1", "mpi4py map_100", "mpi4py map_1000", "mpi4py, backoff 0 map_1000")},
			{name: "Map untuned : MPI in C, 100 a message", unit: "×", must: 0.25, aim: 0.5, derive: ratio("wasmpool map", "MPI in C farm_batch")},
		},
	},
	{
		name: "cpu", title: "CPU time of an 8-byte call in Map, 3 ranks",
		programs: []program{our(3, "cpu_root,cpu_worker")},
		goals: []goal{
			{name: "CPU of a tiny call in Map, root", unit: "ns", most: true, must: 90, aim: 40, derive: figure("wasmpool cpu_root")},
			{name: "CPU of a tiny call in Map, worker", unit: "ns", most: true, must: 130, aim: 80, derive: figure("wasmpool cpu_worker")},
		},
	},
	{
		name: "latency", title: "Round trip of one call at a time, 2 ranks",
		programs: []program{
			our(2, "latency_busy,latency_busy_p99"),
			{subject: "MPI in C", tool: floor, ranks: 2, args: []string{"ping"}},
			pool("schwimmbad", schwimmbad, 2, "latency_busy"),
			pool("ProcessPool", processPool, 0, "latency_busy"),
			peer("mpi4py", 2, nil, "latency_busy"),
		},
		goals: []goal{
			{name: "busy round trip, median : MPI in C", unit: "×", most: true, must: 1.4, aim: 1.1, derive: ratio("wasmpool latency_busy", "MPI in C ping")},
			{name: "busy round trip, 99 % : its median", unit: "×", most: true, must: 5, aim: 3, derive: ratio("wasmpool latency_busy_p99", "wasmpool latency_busy")},
		},
	},
	{
		name: "idle", title: "A pool that idles, 3 ranks, and a round trip after a second",
		programs: []program{
			ourRuns(3, 2, "latency_idle,idle_cpu_root,idle_cpu_worker"),
			{subject: "futex pair in C", tool: futex, args: []string{"cold", "warm"}},
			peer("mpi4py", 3, nil, "latency_idle"),
		},
		goals: []goal{
			{name: "round trip after a pause : futex pair in C", unit: "×", most: true, must: 1.5, aim: 1.2, derive: ratio("wasmpool latency_idle", "futex pair in C cold")},
			{name: "idle CPU, root", unit: "% of a core", most: true, must: 0.3, aim: 0.1, derive: figure("wasmpool idle_cpu_root")},
			{name: "idle CPU, worker", unit: "% of a core", most: true, must: 0.3, aim: 0.1, derive: figure("wasmpool idle_cpu_worker")},
		},
	},
	{
		name: "echo", title: "Payloads there and back, both ways summed, 3 ranks",
		programs: []program{
			our(3, "echo_64KiB,echo_1MiB,echo_64MiB"),
			{subject: "MPI in C", tool: floor, ranks: 3, args: []string{"echo_64KiB", "echo_1MiB", "echo_64MiB"}},
			peer("mpi4py", 3, nil, "echo_64KiB", "echo_1MiB", "echo_64MiB"),
		},
		goals: []goal{
			{name: "echo of 64 KiB : MPI in C", unit: "×", must: 0.8, aim: 1, derive: ratio("wasmpool echo_64KiB", "MPI in C echo_64KiB")},
			{name: "echo of 1 MiB : MPI in C", unit: "×", must: 0.8, aim: 1, derive: ratio("wasmpool echo_1MiB", "MPI in C echo_1MiB")},
			{name: "echo of 64 MiB : MPI in C", unit: "×", must: 0.4, aim: 0.8, derive: ratio("wasmpool echo_64MiB", "MPI in C echo_64MiB")},
		},
	},
	{
		name: "huge", title: "One argument and result of 1 GiB, 2 ranks", once: true,
		programs: []program{our(2, "echo_1GiB")},
	},
	{
		name: "memory", title: "Memory of the root, 3 ranks", once: true,
		programs: []program{our(3, "map_rss"), our(3, "bytes_per_future")},
		goals: []goal{
			{name: "a queued future, above its argument", unit: "B", most: true, must: 400, aim: 150, derive: figure("wasmpool bytes_per_future")},
			{name: "root during Map over 10^7 inputs", unit: "MiB", most: true, must: 150, derive: figure("wasmpool map_rss")},
		},
	},
	{
		name: "scheduler", title: "The root's cost per call with 4096 workers as a multiple of that with 4",
		programs: []program{our(0, "scheduler_ratio_4096")},
		goals:    []goal{{name: "4096 workers : 4", unit: "×", most: true, must: 1.15, aim: 1.05, derive: figure("wasmpool scheduler_ratio_4096")}},
	},
	{
		name: "many", title: "Map over 10^6 8-byte calls on 64 ranks of this machine, and on 3",
		programs: []program{
			named("wasmpool on 64", ourRuns(64, 3, "map")),
			named("wasmpool on 3", ourRuns(3, 3, "map")),
		},
		goals: []goal{{name: "Map on 64 ranks : on 3", unit: "×", must: 0.5, aim: 0.8, derive: ratio("wasmpool on 64 map", "wasmpool on 3 map")}},
	},
	{
		name: "julia", title: "Julia set, rows of about 1 ms, 2 workers: rows a second, against two serial loops at once",
		programs: []program{
			our(3, "julia"),
			serialLoops(5, "julia_serial"),
			peer("mpi4py", 3, nil, "julia"),
			{subject: "two serial loops of Python", tool: mpi4py, copies: 2, args: []string{"julia_serial"}},
		},
		goals: []goal{
			{name: "Julia set : two serial loops", unit: "×", must: 0.96, aim: 0.99, derive: ratio("wasmpool julia", "two serial loops julia_serial")},
			{name: "the same, mpi4py and Python", unit: "×", derive: ratio("mpi4py julia", "two serial loops of Python julia_serial")},
		},
	},
	{
		name: "mixed", title: "Mixed load, 1 % of calls take 100 ms and the rest 10 µs, 2 workers: calls a second",
		programs: []program{
			ourRuns(3, 2, "mixed"),
			serialLoops(2, "mixed_serial"),
		},
		goals: []goal{{name: "mixed load : two serial loops", unit: "×", must: 0.96, aim: 0.99, derive: ratio("wasmpool mixed", "two serial loops mixed_serial")}},
	},
	{
		name: "start", title: "From mpirun's start to the first result, 3 ranks",
		programs: []program{
			{subject: "wasmpool", tool: ours, ranks: 3, timed: true, args: []string{"run", guest, "echo", "--arg", "x"}},
			{subject: "empty MPI program", tool: floor, ranks: 3, timed: true, args: []string{"empty"}},
			peerStart("mpi4py", 3),
		},
		goals: []goal{{
			name: "start to the first result : empty MPI program", unit: "×", most: true, must: 1.3, aim: 1.13,
			derive: ratio("wasmpool start", "empty MPI program start"),
		}},
	},
}

// our is wasmpool bench with some cases; without MPI when ranks is 0.
func our(ranks int, cases string) program {
	return program{subject: "wasmpool", tool: ours, ranks: ranks, args: []string{"bench", "--json", "--cases", cases}}
}

// ourRuns is our with the number of runs, which is else the default.
func ourRuns(ranks, runs int, cases string) program {
	p := our(ranks, cases)
	p.args = append([]string{"bench", "--runs", strconv.Itoa(runs)}, p.args[1:]...)
	return p
}

// serialLoops is the best that two cores can do: two processes that each run
// the calls one after the other, without a pool.
func serialLoops(runs int, cases string) program {
	p := ourRuns(0, runs, cases)
	p.subject, p.copies = "two serial loops", 2
	return p
}

// named gives a program another subject, where one subject runs twice.
func named(subject string, p program) program {
	p.subject = subject
	return p
}

// peer is mpi4py.futures, with an environment that tunes it.
func peer(subject string, ranks int, env []string, cases ...string) program {
	return program{subject: subject, tool: mpi4py, ranks: ranks, args: cases, env: env}
}

// pool is another pool of Python; without MPI when ranks is 0.
func pool(subject, tool string, ranks int, cases ...string) program {
	return program{subject: subject, tool: tool, ranks: ranks, args: cases}
}

func peerStart(subject string, ranks int) program {
	p := peer(subject, ranks, nil, "first")
	p.timed = true
	return p
}

func comparisonNames() []string {
	var names []string
	for _, c := range comparisons {
		names = append(names, c.name)
	}
	return names
}

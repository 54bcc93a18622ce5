package monitor

import (
	"testing"
	"time"
)

// TestWhy checks which sentence a state gets.
func TestWhy(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	gone := start.Add(time.Second)
	worker := func(rank, inFlight int) Worker { return Worker{Rank: rank, Slots: 4, InFlight: inFlight} }
	running := func(number uint64, task string, seconds float64) RunningCall {
		return RunningCall{Number: number, Task: task, Rank: 2, For: seconds}
	}
	for _, c := range []struct {
		name   string
		state  State
		silent []int
		p      *Progress
		still  time.Duration
		want   string
	}{
		{"calls end", State{Workers: []Worker{worker(1, 4)}, Use: Use{Slots: 4}}, nil, nil, time.Second, ""},
		{"nobody yet", State{Counts: Counts{Awaited: 4}}, nil, nil, 0, "No worker has joined: 4 are awaited, for 2 min now."},
		{"one awaited", State{Counts: Counts{Awaited: 1}}, nil, nil, 0, "No worker has joined: 1 is awaited, for 2 min now."},
		{"no worker", State{}, nil, nil, 0, "There is no worker."},
		{"all lost", State{Workers: []Worker{{Rank: 1, Lost: &gone, Reason: "its process died"}}}, nil, nil, time.Minute, "All workers are lost, rank 1 as the last: its process died."},
		{"lost and awaited", State{Workers: []Worker{{Rank: 1, Lost: &gone}}, Counts: Counts{Awaited: 2}}, nil, nil, time.Minute, "All workers that joined are lost, and 2 are awaited."},
		{"output", State{Workers: []Worker{worker(1, 4)}}, nil, &Progress{Output: 12 * time.Second}, 0, "The output blocks: a result has waited for 12 s to be written."},
		{
			"full",
			State{Workers: []Worker{worker(1, 9)}, Use: Use{Slots: 4}, Counts: Counts{Running: 4, Waiting: 120}, Running: []RunningCall{running(7, "x", 10800), running(8, "x", 5)}, Runs: 4},
			nil, nil, time.Minute, "All 4 slots run calls of x, the longest for 3 h 0 min; 120 calls wait.",
		},
		{
			"full of several",
			State{Workers: []Worker{worker(1, 4)}, Use: Use{Slots: 4}, Counts: Counts{Running: 4}, Running: []RunningCall{running(7, "x", 90), running(8, "y", 5)}, Runs: 4},
			nil, nil, time.Minute, "All 4 slots run calls, the longest, call 7 of x, for 1 min.",
		},
		{
			"compiles",
			State{Workers: []Worker{{Rank: 1, Slots: 4, InFlight: 4, Loading: []string{"big.wasm"}}, {Rank: 2, Slots: 4, InFlight: 4, Loading: []string{"big.wasm"}}}, Use: Use{Slots: 8}, Counts: Counts{Running: 8}},
			nil, nil, 5 * time.Second, "Rank 1 and 1 other compile the module big.wasm.",
		},
		{
			"fetches",
			State{Workers: []Worker{{Rank: 1, Slots: 4, InFlight: 4, Fetching: []string{"genome"}}}, Use: Use{Slots: 4}, Counts: Counts{Running: 4}},
			nil, nil, 5 * time.Second, "Rank 1 fetches the shared input genome.",
		},
		{"silent", State{Workers: []Worker{worker(1, 4), worker(2, 0)}, Use: Use{Slots: 8}, Counts: Counts{Running: 4}}, []int{1, 2}, nil, 5 * time.Second, "Rank 1 does not answer, and has calls."},
		{
			"in order",
			State{Workers: []Worker{worker(1, 1)}, Use: Use{Slots: 4}, Counts: Counts{Running: 1}, Running: []RunningCall{running(17, "x", 300)}, Runs: 1},
			nil, &Progress{Behind: 17}, time.Minute, "Results are waited for in order, behind call 17 of x, which rank 2 has run for 5 min.",
		},
		{
			"input, though calls end",
			State{Workers: []Worker{worker(1, 1)}, Use: Use{Slots: 4, Now: 0.1}, Counts: Counts{Running: 1}},
			nil, &Progress{Input: 5 * time.Second}, time.Second, "The input is slower than the pool: the slots have waited for the next one for 5 s. Meanwhile 1 of 4 slots run calls.",
		},
		{"input, but all are busy", State{Workers: []Worker{worker(1, 4)}, Use: Use{Slots: 4, Now: 0.9}}, nil, &Progress{Input: 5 * time.Second}, time.Second, ""},
		{"waiting", State{Workers: []Worker{worker(1, 0)}, Use: Use{Slots: 4}, Counts: Counts{Waiting: 3}}, nil, nil, time.Minute, "3 calls wait, though 4 slots are free."},
		{"resting", State{Workers: []Worker{worker(1, 0)}, Use: Use{Slots: 4}, Counts: Counts{Resting: 5}}, nil, nil, time.Minute, "5 calls have failed and rest until the next attempt."},
		{"drained", State{Workers: []Worker{worker(1, 1)}, Use: Use{Slots: 4}, Counts: Counts{Running: 1}, Job: Job{Drained: "enough."}}, nil, nil, time.Minute, "The job begins no call any more: enough. Meanwhile 1 of 4 slots run calls."},
		{"few", State{Workers: []Worker{worker(1, 1)}, Use: Use{Slots: 4}, Counts: Counts{Running: 1, Submitted: 9}}, nil, nil, time.Minute, "1 of 4 slots run calls, and no other call was submitted."},
		{"none", State{Workers: []Worker{worker(1, 0)}, Use: Use{Slots: 4}}, nil, nil, time.Minute, "The program has submitted no call yet."},
		{"all ended", State{Workers: []Worker{worker(1, 0)}, Use: Use{Slots: 4}, Counts: Counts{Submitted: 9}}, nil, nil, time.Minute, "All calls have ended that the program has submitted."},
	} {
		c.state.Job.Started, c.state.Job.Now = start, start.Add(2*time.Minute)
		if got := why(&c.state, c.silent, c.p, c.still); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

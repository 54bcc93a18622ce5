package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A joinCall is a call of a task that joins texts, which has its result when somebody asks.
type joinCall struct {
	arg []byte
	f   *fakeJoin
}

func (c *joinCall) Result(context.Context) ([]byte, error) {
	c.f.open--
	c.f.bytes -= len(c.arg)
	var parts []string
	if err := json.Unmarshal(c.arg, &parts); err != nil {
		return nil, err
	}
	return json.Marshal(strings.Join(parts, ""))
}

// A fakeJoin is a pool that joins texts. It keeps the arguments.
type fakeJoin struct {
	open, mostOpen   int
	bytes, mostBytes int
	groups           []string
}

func (f *fakeJoin) reducer(slots int) *reducer {
	return &reducer{
		task: "join",
		submit: func(_ context.Context, arg []byte) promise {
			f.open++
			f.bytes += len(arg)
			f.mostOpen, f.mostBytes = max(f.mostOpen, f.open), max(f.mostBytes, f.bytes)
			f.groups = append(f.groups, string(arg))
			return &joinCall{arg: arg, f: f}
		},
		slots: func(context.Context) int { return slots },
	}
}

// All results are in the one that is left, in their order, and there are as few calls as there can be.
func TestReducer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ results, size, calls int }{
		{1, 1, 1},
		{2, 1, 1},
		{100, 1, 1},
		{101, 1, 3},               // of 100, of 1, and of those two
		{10_000, 1, 101},          // of 100 each, and of those
		{10_001, 1, 101 + 2},      // one group goes up without a call of its own
		{10_100, 1, 101 + 1 + 1},  // so does the last of 101
		{5, 400 << 10, 3 + 1 + 1}, // 2, 2 and 1; 2 of those, and one that goes up; these
		{7, 2 << 20, 4 + 2 + 1},   // two at least
	} {
		if unittest.Race && tt.results*tt.size > 1<<20 { // one goroutine has no races
			continue
		}
		f := new(fakeJoin)
		r := f.reducer(2)
		var want strings.Builder
		for i := range tt.results {
			text := strings.Repeat(strconv.Itoa(i%10), tt.size)
			want.WriteString(text)
			if err := r.add(t.Context(), int64(i), []byte(`"`+text+`"`)); err != nil {
				t.Fatal(err)
			}
		}
		out, err := r.finish(t.Context())
		if err != nil || string(out) != `"`+want.String()+`"` {
			t.Errorf("%d results of %d bytes: %d bytes are left, error %v, want all", tt.results, tt.size, len(out), err)
		}
		if len(f.groups) != tt.calls || f.open != 0 || r.calls != 0 || r.bytes != 0 {
			t.Errorf("%d results of %d bytes: %d calls, %d open, want %d and none", tt.results, tt.size, len(f.groups), f.open, tt.calls)
		}
	}
}

// What is in a group depends on the results alone, and not on how many calls are under way.
func TestReducerGroups(t *testing.T) {
	t.Parallel()
	seed, results := rand.Uint64(), 600
	if unittest.Race { // one goroutine has no races
		results = 150
	}
	groups := func(slots int) []string {
		r := rand.New(rand.NewPCG(seed, 0))
		f := new(fakeJoin)
		red := f.reducer(slots)
		for i := range results {
			text := strings.Repeat("x", r.IntN(1<<r.IntN(18)))
			if err := red.add(t.Context(), int64(i), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := red.finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if bound := slots + firstReductions + len(f.groups); f.mostOpen > bound || f.mostBytes > 2*heldBytes {
			t.Errorf("%d slots: %d calls with %d bytes at once", slots, f.mostOpen, f.mostBytes)
		}
		counts := map[string]int{}
		for _, g := range f.groups {
			counts[g]++
		}
		var all []string
		for g, n := range counts {
			all = append(all, fmt.Sprint(n, len(g), digestOf([]byte(g))))
		}
		slices.Sort(all)
		return all
	}
	first := groups(1)
	for _, slots := range []int{2, 5000} {
		if got := groups(slots); strings.Join(got, ",") != strings.Join(first, ",") {
			t.Errorf("seed %d: groups with %d slots differ from those with one", seed, slots)
		}
	}
}

// Results stand in the array as they do in lines.
func TestReducerValues(t *testing.T) {
	t.Parallel()
	for _, out := range []string{"", " 1 ", "{ \"a\": [1, 2.50] }", "text", "say \"hi\"\n", "caf\u00e9", "\u202e\u009b", "\"\u202e\"", "nul", "null"} {
		f := new(fakeJoin)
		r := f.reducer(1)
		if err := r.add(t.Context(), 0, []byte(out)); err != nil {
			t.Fatal(err)
		}
		r.finish(t.Context()) //nolint:errcheck // some are no texts
		w := newRecordWriter("f@", false)
		line := string(w.success(nil, &record{}, []byte(out)))
		value := strings.TrimSuffix(strings.TrimPrefix(f.groups[0], "["), "]")
		if !strings.HasSuffix(line, `"out":`+value+"}\n") {
			t.Errorf("%q is %s in an array, and in a line %s", out, value, line)
		}
	}
	f := new(fakeJoin)
	r := f.reducer(1)
	err := r.add(t.Context(), 7, []byte{0xff})
	if !errors.Is(err, errNotUTF8) || exitCode(err) != exitCallFailed || oneLine(err) != "--reduce join: the result of input 7: it is not UTF-8, as JSON must be" {
		t.Errorf("a result that is not UTF-8: %v", err)
	}
	if _, err := r.finish(t.Context()); exitCode(err) != exitCallFailed || !strings.Contains(err.Error(), "no results to reduce") {
		t.Errorf("no results: %v", err)
	}
}

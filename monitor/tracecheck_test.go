package monitor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A traceEvent is an event of a trace as a reader sees it.
type traceEvent struct {
	Phase   string         `json:"ph"`
	Name    string         `json:"name"`
	Kind    string         `json:"cat"`
	PID     *int           `json:"pid"`
	TID     int            `json:"tid"`
	TS      *json.Number   `json:"ts"`
	Dur     *json.Number   `json:"dur"`
	Scope   string         `json:"s"`
	Flow    string         `json:"bind_id"`
	FlowIn  bool           `json:"flow_in"`
	FlowOut bool           `json:"flow_out"`
	Args    map[string]any `json:"args"`
}

// A traceRead is a trace that was read and found right.
type traceRead struct {
	names  map[int]string          // of processes
	tracks map[int]string          // names, by number
	events []traceEvent            // all but names
	slices map[string][]traceEvent // by process and track
}

// readTrace reads a trace as Perfetto does, which takes one without its end, and tells what is wrong with it.
func readTrace(data string) (*traceRead, error) {
	if !strings.HasSuffix(data, "]\n") {
		data = data[:strings.LastIndex(data, "\n")+1] // the event that was cut
		data = strings.TrimSuffix(data, ",\n") + "]"
	}
	var events []traceEvent
	dec := json.NewDecoder(strings.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&events); err != nil {
		return nil, err
	}
	r := &traceRead{names: map[int]string{}, tracks: map[int]string{}, slices: map[string][]traceEvent{}}
	var errs []error
	for i, e := range events {
		if err := r.event(e); err != nil {
			errs = append(errs, fmt.Errorf("event %d, %q: %w", i, e.Name, err))
		}
	}
	return r, errors.Join(append(errs, r.flows())...)
}

// event takes an event in.
func (r *traceRead) event(e traceEvent) error {
	if e.PID == nil || *e.PID <= 0 || e.TS == nil || e.Name == "" {
		return errors.New("lacks its process, time or name, or they are not positive")
	}
	at, err := nanos(e.TS)
	if err != nil {
		return err
	}
	if e.Phase != "M" {
		r.events = append(r.events, e)
		if r.names[*e.PID] == "" {
			return fmt.Errorf("process %d has no name", *e.PID)
		}
	}
	switch e.Phase {
	case "M":
		return r.named(e)
	case "X":
		return r.slice(e, at)
	case "i":
		if e.Scope != "g" && e.Scope != "p" {
			return fmt.Errorf("an instant of scope %q", e.Scope)
		}
	case "C":
		for name, v := range e.Args {
			if _, ok := v.(float64); !ok {
				return fmt.Errorf("a counter's %q is %v", name, v)
			}
		}
	default:
		return fmt.Errorf("phase %q", e.Phase)
	}
	return nil
}

func (r *traceRead) named(e traceEvent) error {
	name, _ := e.Args["name"].(string)
	names, number := r.names, *e.PID
	if e.Name == "thread_name" {
		names, number = r.tracks, e.TID
	}
	if name == "" || names[number] != "" {
		return fmt.Errorf("number %d is named %q, and was %q", number, name, names[number])
	}
	names[number] = name
	return nil
}

// slice takes a slice in: those of a track follow each other, but for those where calls are submitted, which have no length.
func (r *traceRead) slice(e traceEvent, at int64) error {
	if e.Dur == nil || r.tracks[e.TID] == "" {
		return fmt.Errorf("a slice without a duration, or on track %d, which has no name", e.TID)
	}
	dur, err := nanos(e.Dur)
	if err != nil {
		return err
	}
	track := r.names[*e.PID] + ", " + r.tracks[e.TID]
	before := r.slices[track]
	r.slices[track] = append(before, e)
	if e.Kind == "submit" {
		if dur != 0 {
			return fmt.Errorf("a call takes %d ns to be submitted", dur)
		}
		return nil
	}
	if len(before) == 0 {
		return nil
	}
	last := before[len(before)-1]
	lastAt, _ := nanos(last.TS)
	lastDur, _ := nanos(last.Dur)
	if at < lastAt+lastDur {
		return fmt.Errorf("begins at %d ns on %s, %d ns before the end of what comes before", at, track, lastAt+lastDur-at)
	}
	return nil
}

// flows checks that each arrow has two ends, and does not go back in time.
func (r *traceRead) flows() error {
	from, to := map[string]int64{}, map[string]bool{}
	for _, e := range r.events {
		at, err := nanos(e.TS)
		switch {
		case err != nil:
			return err
		case e.FlowOut:
			if _, twice := from[e.Flow]; twice || e.Flow == "" {
				return fmt.Errorf("two arrows are %q", e.Flow)
			}
			from[e.Flow] = at
		case e.FlowIn:
			began, found := from[e.Flow]
			if !found || began > at || to[e.Flow] {
				return fmt.Errorf("arrow %q to %q: begins at %d ns and ends at %d, has a begin: %t, ends twice: %t", e.Flow, e.Name, began, at, found, to[e.Flow])
			}
			to[e.Flow] = true
		}
	}
	if len(from) != len(to) {
		return fmt.Errorf("%d arrows begin, and %d end", len(from), len(to))
	}
	return nil
}

// nanos reads microseconds exactly.
func nanos(n *json.Number) (int64, error) {
	var whole, rest int64
	left, right, _ := strings.Cut(n.String(), ".")
	if _, err := fmt.Sscan(left, &whole); err != nil {
		return 0, err
	}
	if len(right) > 3 || whole < 0 {
		return 0, fmt.Errorf("%s µs is no time", n)
	}
	if right != "" {
		if _, err := fmt.Sscanf((right + "00")[:3], "%d", &rest); err != nil {
			return 0, err
		}
	}
	return whole*1000 + rest, nil
}

// runs returns the slices of runs, and how long they took together.
func (r *traceRead) runs() (list []traceEvent, took int64) {
	for _, e := range r.events {
		if e.Phase == "X" && e.Kind != "submit" {
			d, _ := nanos(e.Dur)
			list, took = append(list, e), took+d
		}
	}
	return list, took
}

// count returns how many events have a name.
func (r *traceRead) count(name string) (n int) {
	for _, e := range r.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// TestTraceCheck checks that the check of traces finds what is wrong with them.
func TestTraceCheck(t *testing.T) {
	t.Parallel()
	const names = `[{"ph":"M","name":"process_name","pid":1,"ts":0,"args":{"name":"p"}},{"ph":"M","name":"thread_name","pid":1,"tid":2,"ts":0,"args":{"name":"t"}}`
	for _, c := range []struct{ what, events, want string }{
		{"sound", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1,"dur":2.5},{"ph":"X","name":"b","pid":1,"tid":2,"ts":3.5,"dur":0}`, ""},
		{"overlap", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1,"dur":2.5},{"ph":"X","name":"b","pid":1,"tid":2,"ts":3.499,"dur":0}`, "1 ns before the end"},
		{"out of order", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":9,"dur":2.5},{"ph":"X","name":"b","pid":1,"tid":2,"ts":3.499,"dur":0}`, "before the end"},
		{"no track", `,{"ph":"X","name":"a","pid":1,"tid":3,"ts":1,"dur":2.5}`, "no name"},
		{"no process", `,{"ph":"i","s":"p","name":"a","pid":2,"ts":1}`, "no name"},
		{"no duration", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1}`, "without a duration"},
		{"no begin", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1,"dur":1,"bind_id":"0x1","flow_in":true}`, "has a begin: false"},
		{"no end", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1,"dur":1,"bind_id":"0x1","flow_out":true}`, "1 arrows begin, and 0 end"},
		{"back in time", `,{"ph":"X","name":"a","pid":1,"tid":2,"ts":1,"dur":1,"bind_id":"0x1","flow_out":true},{"ph":"X","name":"a","pid":1,"tid":2,"ts":2,"dur":1,"bind_id":"0x1","flow_in":true},{"ph":"X","name":"a","pid":1,"tid":2,"ts":3,"dur":1,"bind_id":"0x1","flow_in":true}`, "ends twice: true"},
		{"counter", `,{"ph":"C","name":"a","pid":1,"ts":1,"args":{"x":"y"}}`, "is y"},
		{"phase", `,{"ph":"Q","name":"a","pid":1,"ts":1}`, "phase"},
		{"negative", `,{"ph":"i","s":"p","name":"a","pid":1,"ts":-1}`, "no time"},
		{"not JSON", `,{"ph":"i",}`, "invalid"},
	} {
		_, err := readTrace(names + c.events + "\n]\n")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

package wire_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/wire"
)

var calls = []wire.Call{
	{Number: 1, Ticket: 7, Task: 3, Attempt: 1, Arg: []byte("argument"), ArgLen: 8},
	{Number: math.MaxUint64, Ticket: math.MaxUint32, Task: 1, Attempt: math.MaxUint16, Arg: []byte{}},
	{Number: 9, Ticket: 2, Task: 3, Attempt: 2, Long: true, ArgLen: 3 << 30},
	{Number: 9, Ticket: 2, Task: 3, Attempt: 2, Long: true, ArgLen: 3 << 30, Lent: 1<<47 - 8},
	{Number: 10, Ticket: 3, Task: 3, Attempt: 1, Arg: []byte("arg"), ArgLen: 3, Limits: &wire.Limits{Time: -1, Memory: 1, Output: 2, Log: 3, Instructions: math.MaxUint64}},
	{Number: 11, Ticket: 4, Task: 3, Attempt: 1, Long: true, ArgLen: 1 << 20, Limits: &wire.Limits{Time: 5}},
	{Number: 12, Ticket: 5, Task: 3, Attempt: 1, Arg: []byte("arg"), ArgLen: 3, Shared: math.MaxUint32},
	{Number: 13, Ticket: 6, Task: 3, Attempt: 1, Long: true, ArgLen: 1 << 20, Limits: &wire.Limits{Time: 5}, Shared: 1},
}

var results = []wire.Result{
	{Ticket: 7, Gen: 1, Nanos: 120, Data: []byte("result"), Len: 6},
	{Ticket: 8, Gen: 2, Nanos: 0, Data: []byte{}},
	{Ticket: 9, Gen: 3, Nanos: math.MaxInt64, Failed: true, Data: []byte(`{"kind":1}`), Len: 10},
	{Ticket: 1, Gen: 4, Nanos: 5, Long: true, Len: 5 << 30, Payload: 77},
	{Ticket: 2, Gen: 5, Nanos: 5, Data: []byte("metered"), Len: 7, Usage: &wire.Usage{Instructions: 1 << 60, Memory: 3}},
	{Ticket: 3, Gen: 6, Nanos: 5, Long: true, Len: 9, Payload: 7, Usage: &wire.Usage{Instructions: 1}},
	{Ticket: 4, Gen: 7, Begun: true, Data: []byte{}},
	{Ticket: 5, Gen: 8, Nanos: 5, Data: []byte("watched"), Len: 7, Usage: &wire.Usage{Memory: 1}, Spot: &wire.Spot{Slot: 3, Clock: 1 << 60}},
	{Ticket: 6, Gen: 9, Nanos: 5, Long: true, Len: 9, Payload: 7, Spot: &wire.Spot{Clock: -1}},
	{Ticket: 7, Gen: 10, Nanos: 5, Data: []byte("own"), Len: 3, Asked: true, Usage: &wire.Usage{Memory: 1}},
	{Ticket: 7, Gen: 10, Nanos: 5, Long: true, Len: 9, Payload: 7, Asked: true},
}

func callsFrame() []byte {
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	for i := range calls {
		w.AddCall(&calls[i])
	}
	return w.Frame()
}

func resultsFrame() []byte {
	var w wire.Writer
	w.Reset(wire.TypeResults)
	for i := range results {
		w.AddResult(&results[i])
	}
	return w.Frame()
}

func decodeCalls(t testing.TB, frame []byte) ([]wire.Call, error) {
	t.Helper()
	_, count, body, err := wire.Header(frame)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(count, body)
	var list []wire.Call
	var c wire.Call
	for r.NextCall(&c) {
		list = append(list, c)
	}
	return list, r.Err()
}

func decodeResults(t testing.TB, frame []byte) ([]wire.Result, error) {
	t.Helper()
	_, count, body, err := wire.Header(frame)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(count, body)
	var list []wire.Result
	var res wire.Result
	for r.NextResult(&res) {
		list = append(list, res)
	}
	return list, r.Err()
}

func TestCallsRoundTrip(t *testing.T) {
	t.Parallel()
	frame := callsFrame()
	typ, count, _, err := wire.Header(frame)
	if typ != wire.TypeCalls || count != len(calls) || err != nil {
		t.Fatalf("Header = %v, %d, %v", typ, count, err)
	}
	got, err := decodeCalls(t, frame)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(calls, got); diff != "" {
		t.Error(diff)
	}
}

func TestResultsRoundTrip(t *testing.T) {
	t.Parallel()
	got, err := decodeResults(t, resultsFrame())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(results, got); diff != "" {
		t.Error(diff)
	}
}

func TestCallSize(t *testing.T) {
	t.Parallel()
	for i := range calls {
		var w wire.Writer
		w.Reset(wire.TypeCalls)
		w.AddCall(&calls[i])
		if got, want := w.Len()-wire.HeaderLen, calls[i].Size(); got != want {
			t.Errorf("call %d takes %d bytes, Size says %d", i, got, want)
		}
	}
}

func TestTicketsRoundTrip(t *testing.T) {
	t.Parallel()
	var w wire.Writer
	w.Reset(wire.TypeReturned)
	w.AddTicket(4, 5, 1)
	w.AddTicket(6, math.MaxUint32, wire.MaxReturned)
	_, count, body, err := wire.Header(w.Frame())
	if err != nil {
		t.Fatal(err)
	}
	r := wire.NewReader(count, body)
	var got [][3]uint32
	for {
		ticket, gen, n, ok := r.NextTicket()
		if !ok {
			break
		}
		got = append(got, [3]uint32{ticket, gen, n})
	}
	if diff := cmp.Diff([][3]uint32{{4, 5, 1}, {6, math.MaxUint32, wire.MaxReturned}}, got); diff != "" || r.Err() != nil {
		t.Error(diff, r.Err())
	}
	w.Reset(wire.TypeReturned)
	w.AddTicket(4, 5, 0)
	r = wire.NewReader(1, w.Frame()[wire.HeaderLen:])
	if _, _, _, ok := r.NextTicket(); ok || r.Err() == nil {
		t.Error("an entry that returns no call is read")
	}
}

func TestPullsRoundTrip(t *testing.T) {
	t.Parallel()
	want := []wire.Pull{{Ticket: 1, Gen: 2, Payload: 3}, {Ticket: math.MaxUint32, Gen: 5, Payload: 8191}}
	var w wire.Writer
	w.Reset(wire.TypePull)
	for _, p := range want {
		w.AddPull(p)
	}
	_, count, body, err := wire.Header(w.Frame())
	if err != nil {
		t.Fatal(err)
	}
	r := wire.NewReader(count, body)
	var got []wire.Pull
	for p, ok := r.NextPull(); ok; p, ok = r.NextPull() {
		got = append(got, p)
	}
	if diff := cmp.Diff(want, got); diff != "" || r.Err() != nil {
		t.Error(diff, r.Err())
	}
	cut := wire.NewReader(2, body[:len(body)-1])
	if cut.NextPull(); cut.Err() != nil {
		t.Errorf("the first of a cut frame: %v", cut.Err())
	}
	if _, ok := cut.NextPull(); ok || cut.Err() == nil {
		t.Error("a cut pull is read")
	}
}

func TestControlRoundTrip(t *testing.T) {
	t.Parallel()
	want := wire.Hello{Host: "node1", PID: 12, Slots: 4, Agreed: map[string]string{"InitArg": "01"}}
	frame, err := wire.Control(wire.TypeHello, want)
	if err != nil {
		t.Fatal(err)
	}
	typ, _, body, err := wire.Header(frame)
	if err != nil {
		t.Fatal(err)
	}
	var got wire.Hello
	if err := wire.Decode(typ, body, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := wire.Decode(typ, body[:3], &got); err == nil || !strings.Contains(err.Error(), "hello") {
		t.Errorf("a cut frame decodes with %v", err)
	}
}

func TestBadFrames(t *testing.T) {
	t.Parallel()
	change := func(frame []byte, at int, value byte) []byte {
		frame = bytes.Clone(frame)
		frame[at] = value
		return frame
	}
	for _, tc := range []struct {
		name  string
		frame []byte
	}{
		{"empty", nil},
		{"header cut", callsFrame()[:5]},
		{"type 0", change(callsFrame(), 1, 0)},
		{"type 200", change(callsFrame(), 1, 200)},
		{"reserved byte", change(callsFrame(), 3, 1)},
		{"count too large", change(callsFrame(), 4, 200)},
		{"count too small", change(callsFrame(), 4, 1)},
		{"argument length", change(callsFrame(), wire.HeaderLen+16+3, 0xff)},
		{"unknown flags", change(callsFrame(), wire.HeaderLen+23, 1)},
		{"last byte missing", callsFrame()[:len(callsFrame())-1]},
		{"a byte too many", append(callsFrame(), 0)},
	} {
		if _, err := decodeCalls(t, tc.frame); err == nil {
			t.Errorf("%s: decodes", tc.name)
		}
	}
	if _, err := decodeResults(t, change(resultsFrame(), wire.HeaderLen+12, 3)); err == nil {
		t.Error("a result that is long and failed decodes")
	}
	if _, _, _, err := wire.Header(change(callsFrame(), 0, 99)); !errors.Is(err, wire.ErrVersion) {
		t.Errorf("a frame of version 99: %v", err)
	}
}

// FuzzCalls checks that any frame either fails or survives a round trip.
func FuzzCalls(f *testing.F) {
	f.Add(callsFrame())
	f.Add(blocksFrame())
	f.Add(resultsFrame())
	f.Fuzz(func(t *testing.T, frame []byte) {
		list, err := decodeCalls(t, frame)
		if err != nil {
			return
		}
		var w wire.Writer
		w.Reset(wire.Type(frame[1]))
		for i := range list {
			if list[i].Count > 0 {
				w.AddBlock(&list[i], apart(list[i].Lens, list[i].Arg))
			} else {
				w.AddCall(&list[i])
			}
		}
		if !bytes.Equal(w.Frame(), frame) {
			t.Errorf("% x becomes % x", frame, w.Frame())
		}
	})
}

// FuzzResults checks that any frame either fails or survives a round trip.
func FuzzResults(f *testing.F) {
	f.Add(resultsFrame())
	f.Add(resultBlocksFrame())
	f.Fuzz(func(t *testing.T, frame []byte) {
		list, err := decodeResults(t, frame)
		if err != nil {
			return
		}
		var w wire.Writer
		w.Reset(wire.Type(frame[1]))
		for i := range list {
			if lens := list[i].Lens; list[i].Count > 0 {
				w.AddResults(&list[i], numbers(lens))
			} else {
				w.AddResult(&list[i])
			}
		}
		if !bytes.Equal(w.Frame(), frame) {
			t.Errorf("% x becomes % x", frame, w.Frame())
		}
	})
}

func BenchmarkEncodeCall(b *testing.B) {
	var w wire.Writer
	c := wire.Call{Number: 1, Task: 1, Attempt: 1, Arg: make([]byte, 8), ArgLen: 8}
	w.Reset(wire.TypeCalls)
	b.ReportAllocs()
	for b.Loop() {
		if w.Len() > 4096 {
			w.Reset(wire.TypeCalls)
		}
		w.AddCall(&c)
	}
}

func BenchmarkDecodeCall(b *testing.B) {
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	for w.Len() < 4096 {
		w.AddCall(&wire.Call{Number: 1, Task: 1, Attempt: 1, Arg: make([]byte, 8), ArgLen: 8})
	}
	_, count, body, err := wire.Header(w.Frame())
	if err != nil {
		b.Fatal(err)
	}
	r := wire.NewReader(count, body)
	var c wire.Call
	b.ReportAllocs()
	for b.Loop() {
		if !r.NextCall(&c) {
			r = wire.NewReader(count, body)
		}
	}
}

// TestBegunIsAlone checks that an entry which says that a call has begun says nothing else.
func TestBegunIsAlone(t *testing.T) {
	t.Parallel()
	for _, res := range []wire.Result{
		{Begun: true, Failed: true},
		{Begun: true, Long: true, Len: 3},
		{Begun: true, Data: []byte("x")},
		{Begun: true, Nanos: 1},
		{Begun: true, Asked: true},
		{Begun: true, Usage: &wire.Usage{}},
		{Begun: true, Spot: &wire.Spot{}},
	} {
		var w wire.Writer
		w.Reset(wire.TypeResults)
		w.AddResult(&res)
		if got, err := decodeResults(t, w.Frame()); err == nil {
			t.Errorf("%+v is read as %+v", res, got)
		}
	}
}

package monitor

import (
	"encoding/json"
	"strconv"
)

// A traceEvent is an event of a trace, in the Trace Event Format.
type traceEvent struct {
	Phase   string // X slice, i instant, C counter, M name
	Name    string
	Kind    string // "" for none
	PID     int
	TID     int    // 0 for none
	TS, Dur int64  // in nanoseconds; Dur is of slices only
	Scope   string // of an instant: g all, p process
	Flow    string // of an arrow that begins or ends at a slice; "" for none
	FlowIn  bool
	FlowOut bool
	Args    any // what it says besides, a traceArgs or something that encoding/json takes; nil for nothing
}

// A traceArgs is appended as JSON by itself: there is one for each run, and encoding/json takes five times as long.
type traceArgs interface{ append(b []byte) []byte }

// append appends the event as JSON.
func (e *traceEvent) append(b []byte) []byte {
	b = appendText(append(b, `{"ph":"`+e.Phase+`","name":`...), e.Name)
	if e.Kind != "" {
		b = append(b, `,"cat":"`+e.Kind+`"`...)
	}
	b = strconv.AppendInt(append(b, `,"pid":`...), int64(e.PID), 10)
	if e.TID != 0 {
		b = strconv.AppendInt(append(b, `,"tid":`...), int64(e.TID), 10)
	}
	b = appendMicros(append(b, `,"ts":`...), e.TS)
	if e.Phase == "X" {
		b = appendMicros(append(b, `,"dur":`...), e.Dur)
	}
	if e.Scope != "" {
		b = append(b, `,"s":"`+e.Scope+`"`...)
	}
	if e.Flow != "" {
		b = append(b, `,"bind_id":"`+e.Flow+`"`...)
	}
	if e.FlowIn {
		b = append(b, `,"flow_in":true`...)
	}
	if e.FlowOut {
		b = append(b, `,"flow_out":true`...)
	}
	switch args := e.Args.(type) {
	case nil:
	case traceArgs:
		b = args.append(append(b, `,"args":`...))
	default:
		b = appendJSON(append(b, `,"args":`...), args)
	}
	return append(b, '}')
}

// appendMicros appends nanoseconds as microseconds.
func appendMicros(b []byte, ns int64) []byte {
	b = strconv.AppendInt(b, ns/1000, 10)
	if rest := int(ns % 1000); rest > 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return b
}

// appendText appends a text as JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendJSON(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendJSON appends what encoding/json makes of a value, which is never an error for the types that events have.
func appendJSON(b []byte, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, data...)
}

// What events say besides.
type (
	traceName struct {
		Name string `json:"name"`
	}
	traceBegin struct {
		Time    string `json:"time"` // of the root's clock
		Program string `json:"program"`
	}
	traceEnd struct {
		Slices  uint64 `json:"runs with a slice"`
		Without uint64 `json:"runs without one"`
	}
	traceLeft struct {
		Runs uint64 `json:"runs"`
	}
	traceWhy struct {
		Reason string `json:"reason,omitempty"`
		PID    int    `json:"pid,omitempty"`
		Slots  int    `json:"slots,omitempty"`
	}
	traceCalls struct {
		Queued   int `json:"queued"`
		InFlight int `json:"in flight"`
		Resting  int `json:"resting"`
	}
	traceRate struct {
		Done   float64 `json:"done"`
		Failed float64 `json:"failed"`
	}
	traceCall struct {
		Call    uint64
		Attempt int
	}
	traceRun struct {
		traceCall
		Tags         []string
		Queued       int64 // nanoseconds
		In, Out      int64
		Measured     bool
		Instructions uint64
		Memory       uint64
		Kind, Error  string // of a failure
		Again        bool
	}
)

func (c traceCall) append(b []byte) []byte { return append(c.open(b), '}') }

// open appends all but the end.
func (c traceCall) open(b []byte) []byte {
	b = strconv.AppendUint(append(b, `{"call":`...), c.Call, 10)
	return strconv.AppendInt(append(b, `,"attempt":`...), int64(c.Attempt), 10)
}

func (r traceRun) append(b []byte) []byte {
	b = r.open(b)
	if len(r.Tags) > 0 {
		b = appendJSON(append(b, `,"tags":`...), r.Tags)
	}
	b = appendMicros(append(b, `,"queued µs":`...), r.Queued)
	b = strconv.AppendInt(append(b, `,"argument bytes":`...), r.In, 10)
	b = strconv.AppendInt(append(b, `,"result bytes":`...), r.Out, 10)
	if r.Measured {
		b = strconv.AppendUint(append(b, `,"instructions":`...), r.Instructions, 10)
		b = strconv.AppendUint(append(b, `,"memory bytes":`...), r.Memory, 10)
	}
	if r.Kind != "" {
		b = append(b, `,"kind":"`+r.Kind+`"`...)
	}
	if r.Error != "" {
		b = appendText(append(b, `,"error":`...), r.Error)
	}
	if r.Again {
		b = append(b, `,"runs again":true`...)
	}
	return append(b, '}')
}

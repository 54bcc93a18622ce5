package wire

import (
	"encoding/binary"
	"fmt"
)

// Call is one entry of a calls frame.
type Call struct {
	Number  uint64 // unique in the pool
	Ticket  uint32 // the root's handle, returned with the result
	Task    uint32
	Attempt uint16
	Arg     []byte  // in a decoded entry, a view of the frame
	ArgLen  int64   // len(Arg), or the payload's length when Long
	Long    bool    // the argument is a payload, to be pulled unless it is lent
	Lent    uint64  // where the root lends it; 0 for not lent
	Limits  *Limits // the call's own; nil for the worker's
	Shared  uint32  // the number of its shared inputs; 0 for none

	// Of a decoded block, see [Writer.AddBlock]; Number is that of its first call, and Arg all
	// arguments in a row.
	Count int     // how many calls it has; 0 for an ordinary entry
	Lens  Lengths // of the arguments
}

// Limits are those of one call. A zero is the worker's own.
type Limits struct {
	Time                              int64 // nanoseconds; negative is none
	Memory, Output, Log, Instructions uint64
}

// limitsLen is five numbers of 8 bytes.
const limitsLen = 40

// Usage is what one call used.
type Usage struct {
	Instructions uint64 `json:"instructions"`
	Memory       uint64 `json:"memory"` // bytes
}

// usageLen is two numbers of 8 bytes.
const usageLen = 16

// callLen is number 8, ticket 4, task 4, argument length 4, attempt 2, flags 2.
const callLen = 24

// longLen is length 8, address 8 of a long argument.
const longLen = 16

// sharedLen is the number of a set of shared inputs.
const sharedLen = 4

// spotLen is slot 4, clock 8.
const spotLen = 12

// resultLen is ticket 4, gen 4, length 4, flags 4, nanoseconds 8.
const resultLen = 24

const (
	// ResultOverhead bounds what an entry of a results frame takes besides its
	// data.
	ResultOverhead = resultLen + usageLen + spotLen + 12

	// MaxTask is the largest task number.
	MaxTask = 1 << 20

	// MaxReturned is how many entries one returned frame holds, and how many calls these name.
	MaxReturned = 4096
)

const (
	flagLong   = 1 << 0 // the bytes are a payload; the body holds its length (and id)
	flagFailed = 1 << 1 // the body is a Failure; of a result
	flagLimits = 1 << 1 // Limits precede the body; of a call
	flagUsage  = 1 << 2 // a Usage precedes the body; of a result
	flagBegun  = 1 << 3 // there is no result yet
	flagShared = 1 << 2 // the number of shared inputs precedes the body, behind Limits; of a call
	flagSpot   = 1 << 4 // a Spot precedes the body, behind a Usage; of a result
	flagAsked  = 1 << 5 // see Result.Asked
	flagBlock  = 1 << 3 // the body is a block of calls; of a call

	flagBlockResult = 1 << 6 // the body is a block of results; of a result
)

// Size returns the bytes that the entry takes in a frame.
func (c *Call) Size() int {
	n := callLen + len(c.Arg)
	if c.Long {
		n = callLen + longLen
	}
	if c.Limits != nil {
		n += limitsLen
	}
	if c.Shared != 0 {
		n += sharedLen
	}
	return n
}

// Pull is one entry of a pull frame. It asks for a call's argument as the payload
// with that id.
type Pull struct {
	Ticket  uint32
	Gen     uint32 // the low half of the call's number
	Payload uint32
}

// pullLen is three numbers of 4 bytes.
const pullLen = 12

// ticketLen is three numbers of 4 bytes, in a returned frame.
const ticketLen = 12

// A Writer builds one frame of entries. Its buffer is reused after Reset.
type Writer struct {
	buf   []byte
	count int
}

// Reset starts a new frame of that type.
func (w *Writer) Reset(typ Type) {
	w.buf = appendHeader(w.buf[:0], typ, 0)
	w.count = 0
}

// Count returns how many entries the frame holds.
func (w *Writer) Count() int { return w.count }

// Len returns the frame's length in bytes.
func (w *Writer) Len() int { return len(w.buf) }

// Frame returns the finished frame, valid until the next Reset or Add.
func (w *Writer) Frame() []byte {
	binary.LittleEndian.PutUint32(w.buf[4:], uint32(w.count))
	return w.buf
}

// AddCall appends a call to a calls frame.
func (w *Writer) AddCall(c *Call) {
	flags, n := uint16(0), len(c.Arg)
	if c.Long {
		flags, n = flagLong, longLen
	}
	if c.Limits != nil {
		flags, n = flags|flagLimits, n+limitsLen
	}
	if c.Shared != 0 {
		flags, n = flags|flagShared, n+sharedLen
	}
	b := binary.LittleEndian.AppendUint64(w.buf, c.Number)
	b = binary.LittleEndian.AppendUint32(b, c.Ticket)
	b = binary.LittleEndian.AppendUint32(b, c.Task)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.Attempt)|uint32(flags)<<16)
	if c.Limits != nil {
		b = c.Limits.append(b)
	}
	if c.Shared != 0 {
		b = binary.LittleEndian.AppendUint32(b, c.Shared)
	}
	if c.Long {
		b = binary.LittleEndian.AppendUint64(b, uint64(c.ArgLen))
		b = binary.LittleEndian.AppendUint64(b, c.Lent)
	} else {
		b = append(b, c.Arg...)
	}
	w.buf = b
	w.count++
}

func (l *Limits) append(b []byte) []byte {
	for _, n := range [...]uint64{uint64(l.Time), l.Memory, l.Output, l.Log, l.Instructions} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func readLimits(b []byte) *Limits {
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return &Limits{Time: int64(at(0)), Memory: at(1), Output: at(2), Log: at(3), Instructions: at(4)}
}

// DataLen returns how many bytes of data a results frame holds at most.
func DataLen(count int, body []byte) int { return max(0, len(body)-count*resultLen) }

// Result is one entry of a results frame. A call has one, after one that says that it
// has begun if it takes longer than a moment.
type Result struct {
	Ticket uint32
	Gen    uint32 // the low half of the call's number
	Nanos  int64  // how long the call ran
	Begun  bool   // the call has begun, and its result follows later; nothing else is said
	Failed bool   // Data is a [Failure] in JSON
	Long   bool   // the result is the payload with id Payload and length Len
	Asked  bool   // the guest has asked which call it is, and on which rank: another run may give something else
	Usage  *Usage // of a call that had limits of its own, or is watched; else nil
	Spot   *Spot  // of a call that is watched; else nil
	Data   []byte // in a decoded entry, a view of the frame

	Len     int64
	Payload uint32

	// Of a decoded block, see [Writer.AddResults]; Gen is that of its first call, Nanos the mean of
	// all, and Data all results in a row.
	Count int     // how many results it has; 0 for an ordinary entry
	Lens  Lengths // of the results
}

// A Spot is where and when a call ended.
type Spot struct {
	Slot  uint32 // from 0
	Clock int64  // of the worker, in nanoseconds
}

// AddResult appends a result to a results frame.
func (w *Writer) AddResult(r *Result) {
	flags, n := uint32(0), len(r.Data)
	if r.Begun {
		flags |= flagBegun
	}
	if r.Failed {
		flags |= flagFailed
	}
	if r.Long {
		flags |= flagLong
		n = 12
	}
	if r.Asked {
		flags |= flagAsked
	}
	if r.Usage != nil {
		flags |= flagUsage
		n += usageLen
	}
	if r.Spot != nil {
		flags |= flagSpot
		n += spotLen
	}
	b := binary.LittleEndian.AppendUint32(w.buf, r.Ticket)
	b = binary.LittleEndian.AppendUint32(b, r.Gen)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Nanos))
	if r.Usage != nil {
		b = binary.LittleEndian.AppendUint64(b, r.Usage.Instructions)
		b = binary.LittleEndian.AppendUint64(b, r.Usage.Memory)
	}
	if r.Spot != nil {
		b = binary.LittleEndian.AppendUint32(b, r.Spot.Slot)
		b = binary.LittleEndian.AppendUint64(b, uint64(r.Spot.Clock))
	}
	if r.Long {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.Len))
		b = binary.LittleEndian.AppendUint32(b, r.Payload)
	} else {
		b = append(b, r.Data...)
	}
	w.buf = b
	w.count++
}

// AddPull appends a pull to a pull frame.
func (w *Writer) AddPull(p Pull) {
	b := binary.LittleEndian.AppendUint32(w.buf, p.Ticket)
	b = binary.LittleEndian.AppendUint32(b, p.Gen)
	w.buf = binary.LittleEndian.AppendUint32(b, p.Payload)
	w.count++
}

// AddTicket appends to a returned frame a ticket, the generation of the first call that is
// returned, and how many are: more than one only of a block.
func (w *Writer) AddTicket(ticket, gen, count uint32) {
	b := binary.LittleEndian.AppendUint32(w.buf, ticket)
	b = binary.LittleEndian.AppendUint32(b, gen)
	w.buf = binary.LittleEndian.AppendUint32(b, count)
	w.count++
}

// A Reader walks the entries of a frame's body. After Next returned false,
// Err tells whether the frame ended well.
type Reader struct {
	body []byte
	left int
	err  error
}

// NewReader returns a reader of count entries in body.
func NewReader(count int, body []byte) Reader { return Reader{body: body, left: count} }

// Err returns what was wrong with the frame, or nil.
func (r *Reader) Err() error { return r.err }

// Left returns how many entries were not read yet.
func (r *Reader) Left() int { return r.left }

// more reports whether an entry of at least n bytes follows.
func (r *Reader) more(n int) bool {
	if r.err != nil {
		return false
	}
	if r.left <= 0 {
		if len(r.body) != 0 {
			r.err = fmt.Errorf("wire: %d bytes after the last entry", len(r.body))
		}
		return false
	}
	if len(r.body) < n {
		r.err = fmt.Errorf("wire: the frame is cut: %d entries and only %d bytes left", r.left, len(r.body))
		return false
	}
	return true
}

// take returns the n bytes after an entry's fixed part and moves on.
func (r *Reader) take(fixed, n int) ([]byte, bool) {
	if n > len(r.body)-fixed {
		r.err = fmt.Errorf("wire: an entry says %d bytes, %d are left", n, len(r.body)-fixed)
		return nil, false
	}
	data := r.body[fixed : fixed+n : fixed+n]
	r.body = r.body[fixed+n:]
	r.left--
	return data, true
}

// NextCall reads the next entry of a calls frame into c.
func (r *Reader) NextCall(c *Call) bool {
	if !r.more(callLen) {
		return false
	}
	b := r.body
	c.Number = binary.LittleEndian.Uint64(b)
	c.Ticket = binary.LittleEndian.Uint32(b[8:])
	c.Task = binary.LittleEndian.Uint32(b[12:])
	n := int(binary.LittleEndian.Uint32(b[16:]))
	tail := binary.LittleEndian.Uint32(b[20:])
	c.Attempt = uint16(tail)
	flags := tail >> 16
	if flags&^(flagLong|flagLimits|flagShared) != 0 && flags != flagBlock {
		r.err = fmt.Errorf("wire: unknown flags %#x in a call", flags)
		return false
	}
	data, ok := r.take(callLen, n)
	if !ok {
		return false
	}
	c.Count, c.Lens = 0, nil
	if flags == flagBlock {
		return r.readCalls(c, data)
	}
	c.Limits = nil
	if flags&flagLimits != 0 {
		if len(data) < limitsLen {
			r.err = fmt.Errorf("wire: limits of %d bytes", len(data))
			return false
		}
		c.Limits, data = readLimits(data), data[limitsLen:]
	}
	c.Shared = 0
	if flags&flagShared != 0 {
		if len(data) < sharedLen {
			r.err = fmt.Errorf("wire: a number of shared inputs of %d bytes", len(data))
			return false
		}
		c.Shared, data = binary.LittleEndian.Uint32(data), data[sharedLen:]
	}
	c.Long = flags&flagLong != 0
	if !c.Long {
		c.Arg, c.ArgLen, c.Lent = data, int64(len(data)), 0
		return true
	}
	c.Arg = nil
	if len(data) != longLen || int64(binary.LittleEndian.Uint64(data)) < 0 {
		r.err = fmt.Errorf("wire: bad length of a long argument")
		return false
	}
	c.ArgLen, c.Lent = int64(binary.LittleEndian.Uint64(data)), binary.LittleEndian.Uint64(data[8:])
	return true
}

// NextResult reads the next entry of a results frame into res.
func (r *Reader) NextResult(res *Result) bool {
	if !r.more(resultLen) {
		return false
	}
	b := r.body
	res.Ticket = binary.LittleEndian.Uint32(b)
	res.Gen = binary.LittleEndian.Uint32(b[4:])
	n := int(binary.LittleEndian.Uint32(b[8:]))
	flags := binary.LittleEndian.Uint32(b[12:])
	res.Nanos = int64(binary.LittleEndian.Uint64(b[16:]))
	begun := flags == flagBegun && n == 0 && res.Nanos == 0
	if flags&^(flagUsage|flagSpot|flagAsked) > flagFailed && !begun && flags != flagBlockResult || res.Nanos < 0 {
		r.err = fmt.Errorf("wire: a result with flags %#x and %d ns", flags, res.Nanos)
		return false
	}
	data, ok := r.take(resultLen, n)
	if !ok {
		return false
	}
	res.Count, res.Lens = 0, nil
	if flags == flagBlockResult {
		return r.readResults(res, data)
	}
	res.Usage = nil
	if flags&flagUsage != 0 {
		if len(data) < usageLen {
			r.err = fmt.Errorf("wire: a usage of %d bytes", len(data))
			return false
		}
		res.Usage = &Usage{binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])}
		data = data[usageLen:]
	}
	res.Spot = nil
	if flags&flagSpot != 0 {
		if len(data) < spotLen {
			r.err = fmt.Errorf("wire: a spot of %d bytes", len(data))
			return false
		}
		res.Spot = &Spot{binary.LittleEndian.Uint32(data), int64(binary.LittleEndian.Uint64(data[4:]))}
		data = data[spotLen:]
	}
	res.Begun, res.Failed, res.Long, res.Asked = begun, flags&flagFailed != 0, flags&flagLong != 0, flags&flagAsked != 0
	if !res.Long {
		res.Data, res.Len, res.Payload = data, int64(len(data)), 0
		return true
	}
	res.Data = nil
	if len(data) != 12 || int64(binary.LittleEndian.Uint64(data)) < 0 {
		r.err = fmt.Errorf("wire: bad length of a long result")
		return false
	}
	res.Len, res.Payload = int64(binary.LittleEndian.Uint64(data)), binary.LittleEndian.Uint32(data[8:])
	return true
}

// NextTicket reads the next entry of a returned frame.
func (r *Reader) NextTicket() (ticket, gen, count uint32, ok bool) {
	if !r.more(ticketLen) {
		return 0, 0, 0, false
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(r.body[4*i:]) }
	ticket, gen, count = at(0), at(1), at(2)
	if count < 1 {
		r.err = fmt.Errorf("wire: ticket %d returns no call", ticket)
		return 0, 0, 0, false
	}
	_, ok = r.take(ticketLen, 0)
	return ticket, gen, count, ok
}

// NextPull reads the next entry of a pull frame.
func (r *Reader) NextPull() (p Pull, ok bool) {
	if !r.more(pullLen) {
		return Pull{}, false
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(r.body[4*i:]) }
	p = Pull{Ticket: at(0), Gen: at(1), Payload: at(2)}
	_, ok = r.take(pullLen, 0)
	return p, ok
}

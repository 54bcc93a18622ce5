package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxBlock is how many calls, or results, one block holds.
const MaxBlock = 1024

// blockLen is the count of a block, and lengthLen one of its lengths, in bytes.
const (
	blockLen  = 2
	lengthLen = 2
)

// Lengths are those of the arguments, or results, of a block, in a view of the frame.
type Lengths []byte

// Len returns how many there are.
func (l Lengths) Len() int { return len(l) / lengthLen }

// At returns the length with that index, in bytes.
func (l Lengths) At(i int) int { return int(binary.LittleEndian.Uint16(l[lengthLen*i:])) }

// Slice returns those from index i to index j, without j.
func (l Lengths) Slice(i, j int) Lengths { return l[lengthLen*i : lengthLen*j : lengthLen*j] }

// Sum returns the sum of the lengths from index i to index j, without j.
func (l Lengths) Sum(i, j int) int {
	n := 0
	for ; i < j; i++ {
		n += l.At(i)
	}
	return n
}

// BlockSize returns the bytes that a block of so many calls takes in a frame, with so many bytes of arguments.
func BlockSize(calls, bytes int) int { return callLen + blockLen + lengthLen*calls + bytes }

// AddBlock appends a block to a calls frame: calls of one task with consecutive numbers, of which c has the first,
// and with arguments of no more than [Inline] bytes. There are 1 to [MaxBlock] of them. Of c, it uses
// Number, Ticket, Task and Attempt.
func (w *Writer) AddBlock(c *Call, args [][]byte) {
	begin := len(w.buf)
	b := binary.LittleEndian.AppendUint64(w.buf, c.Number)
	b = binary.LittleEndian.AppendUint32(b, c.Ticket)
	b = binary.LittleEndian.AppendUint32(b, c.Task)
	b = binary.LittleEndian.AppendUint32(b, 0) // its length comes below
	b = binary.LittleEndian.AppendUint32(b, uint32(c.Attempt)|flagBlock<<16)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(args)))
	lens := len(b)
	b = append(b, make([]byte, lengthLen*len(args))...)
	for i, arg := range args {
		binary.LittleEndian.PutUint16(b[lens+lengthLen*i:], uint16(len(arg)))
		b = append(b, arg...)
	}
	binary.LittleEndian.PutUint32(b[begin+16:], uint32(len(b)-begin-callLen))
	w.buf = b
	w.count++
}

// IsPlain reports whether an entry says nothing but that a call has succeeded, with a short result.
func (r *Result) IsPlain() bool {
	return r.Count == 0 && !r.Begun && !r.Failed && !r.Long && r.Usage == nil && r.Spot == nil && len(r.Data) <= Inline
}

// MakeRow makes a plain entry a block of one result.
func (r *Result) MakeRow() {
	r.Count, r.Lens = 1, binary.LittleEndian.AppendUint16(nil, uint16(len(r.Data)))
}

// ResultsSize returns the bytes that a block of results takes in a frame, of which data is all results in a row.
func ResultsSize(count int, data []byte) int {
	return resultLen + blockLen + lengthLen*count + len(data)
}

// AddResults appends a block to a results frame: results of calls with consecutive numbers of one block of
// calls. r.Gen is that of the first, r.Data all results in a row, and lens their lengths, 1 to
// [MaxBlock] of them. Of the rest of r, it uses Ticket and Nanos, the mean run time of one of the calls.
func (w *Writer) AddResults(r *Result, lens []uint16) {
	b := binary.LittleEndian.AppendUint32(w.buf, r.Ticket)
	b = binary.LittleEndian.AppendUint32(b, r.Gen)
	b = binary.LittleEndian.AppendUint32(b, uint32(ResultsSize(len(lens), r.Data)-resultLen))
	b = binary.LittleEndian.AppendUint32(b, flagBlockResult)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Nanos))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(lens)))
	for _, n := range lens {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	w.buf = append(b, r.Data...)
	w.count++
}

// readBlock takes the body of a block apart: into the lengths, and all that have them in a row.
func readBlock(body []byte) (lens Lengths, row []byte, err error) {
	if len(body) < blockLen {
		return nil, nil, fmt.Errorf("wire: a block of %d bytes", len(body))
	}
	count := int(binary.LittleEndian.Uint16(body))
	body = body[blockLen:]
	if count < 1 || count > MaxBlock || len(body) < lengthLen*count {
		return nil, nil, fmt.Errorf("wire: a block of %d, in %d bytes", count, len(body))
	}
	lens, row = Lengths(body[:lengthLen*count:lengthLen*count]), body[lengthLen*count:]
	if n := lens.Sum(0, count); n != len(row) {
		return nil, nil, fmt.Errorf("wire: the lengths of a block make %d bytes, not %d", n, len(row))
	}
	return lens, row, nil
}

// readCalls reads the body of a block of calls into c.
func (r *Reader) readCalls(c *Call, body []byte) bool {
	lens, row, err := readBlock(body)
	if err != nil {
		r.err = err
		return false
	}
	c.Count, c.Lens, c.Arg, c.ArgLen = lens.Len(), lens, row, int64(len(row))
	c.Long, c.Lent, c.Limits, c.Shared = false, 0, nil, 0
	return true
}

// readResults reads the body of a block of results into res.
func (r *Reader) readResults(res *Result, body []byte) bool {
	lens, row, err := readBlock(body)
	if err != nil {
		r.err = err
		return false
	}
	res.Count, res.Lens, res.Data, res.Len = lens.Len(), lens, row, int64(len(row))
	res.Begun, res.Failed, res.Long, res.Asked = false, false, false, false
	res.Usage, res.Spot, res.Payload = nil, nil, 0
	return true
}

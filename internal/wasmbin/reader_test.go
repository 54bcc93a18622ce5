package wasmbin

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

func TestReaderNumbers(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 127, 128, 1 << 21, math.MaxUint32, 1 << 32, math.MaxUint64} {
		b := binary.AppendUvarint(nil, n)
		if got := NewReader(b, 0).U64(); got != n {
			t.Errorf("U64(%x) = %d, want %d", b, got, n)
		}
		r := NewReader(b, 0)
		got := r.U32()
		if fits := n <= math.MaxUint32; fits && uint64(got) != n || fits == (r.Err() != nil) {
			t.Errorf("U32(%x) = %d, %v", b, got, r.Err())
		}
	}
}

func TestReaderS33(t *testing.T) {
	t.Parallel()
	tests := []struct {
		bytes string
		want  int64
	}{
		{"\x00", 0},
		{"\x40", -64},
		{"\x70", -16},
		{"\x3f", 63},
		{"\xc0\x00", 64},
		{"\xff\xff\xff\xff\x0f", math.MaxUint32},
		{"\x80\x80\x80\x80\x70", -1 << 32},
	}
	for _, tt := range tests {
		r := NewReader([]byte(tt.bytes), 0)
		if got := r.S33(); got != tt.want || r.Err() != nil {
			t.Errorf("S33(%x) = %d, %v, want %d", tt.bytes, got, r.Err(), tt.want)
		}
	}
	r := NewReader([]byte("\x80\x80\x80\x80\x80\x00"), 0)
	if r.S33(); r.Err() == nil {
		t.Error("a number of six bytes is read")
	}
}

// The first failure sticks, and says where it was.
func TestReaderFailure(t *testing.T) {
	t.Parallel()
	r := NewReader([]byte("abc"), 0x100)
	r.Byte()
	if got := r.Bytes(3); got != nil {
		t.Errorf("Bytes(3) = %q of 2", got)
	}
	if got := r.Byte(); got != 0 || r.Len() != 0 {
		t.Errorf("after a failure Byte() = %d, Len() = %d", got, r.Len())
	}
	r.Failf("another")
	if want := "truncated: 3 bytes announced, 2 left, at offset 0x101"; r.Err().Error() != want {
		t.Errorf("error %v, want %s", r.Err(), want)
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	got := []string{ValType(1).String(), Kind(9).String(), KindTag.String(), FuncType{}.String()}
	if want := "type 0x01|kind 9|tag|() -> ()"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %s", got, want)
	}
	if V128.Numeric() || !I32.Numeric() || !F64.Numeric() || FuncRef.Numeric() {
		t.Error("Numeric is wrong")
	}
}

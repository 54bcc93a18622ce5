package meter

// Most instructions need no more than being counted and copied. Those are
// skipped by the run, which is ten times as fast as reading each.

// operands tells of an instruction how many numbers follow it, up to two, or that
// it is not simple.
var operands = func() (t [256]uint8) {
	for op := range t {
		t[op] = notSimple
	}
	set := func(first, last int, n uint8) {
		for op := first; op <= last; op++ {
			t[op] = n
		}
	}
	set(0x00, 0x01, 0)       // unreachable, nop
	set(0x1a, 0x1b, 0)       // drop, select
	set(0x20, 0x22, 1)       // locals
	set(0x28, 0x3e, 2)       // loads and stores
	set(0x41, opI64Const, 1) // i32.const, i64.const
	set(0x45, 0xc4, 0)       // numbers
	for op, r := range remedies {
		if r != nil {
			t[op] = notSimple
		}
	}
	return t
}()

const notSimple = 0xff

// simple returns how many simple instructions code starts with, and their
// length in bytes. It stops before one that is cut or odd.
func simple(code []byte) (count uint64, size int) {
	for at := 0; at < len(code); {
		n := operands[code[at]]
		if n == notSimple {
			break
		}
		at++
		if n == 2 && at < len(code) && code[at] >= 0x40 { // an address with a memory's index
			break
		}
		for ; n > 0; n-- {
			end := at + 10
			for at < len(code) && code[at] >= 0x80 && at < end {
				at++
			}
			if at >= len(code) || at == end {
				return count, size
			}
			at++
		}
		count, size = count+1, at
	}
	return count, size
}

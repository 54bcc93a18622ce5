package difftest

// A valType is the type of a value, as the binary has it.
type valType byte

const (
	i32       valType = 0x7f
	i64       valType = 0x7e
	f32       valType = 0x7d
	f64       valType = 0x7c
	v128      valType = 0x7b
	funcref   valType = 0x70
	externref valType = 0x6f
)

// Opcodes that are written or read by name.
const (
	opUnreachable = 0x00
	opNop         = 0x01
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opThrow       = 0x08
	opThrowRef    = 0x0a
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallInd     = 0x11
	opTailCall    = 0x12
	opTailCallInd = 0x13
	opCallRef     = 0x14
	opTailCallRef = 0x15
	opDrop        = 0x1a
	opSelect      = 0x1b
	opSelectTyped = 0x1c
	opTryTable    = 0x1f
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opTableGet    = 0x25
	opTableSet    = 0x26
	opMemorySize  = 0x3f
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opRefNull     = 0xd0
	opRefIsNull   = 0xd1
	opRefFunc     = 0xd2
	opBulk        = 0xfc
	opVector      = 0xfd
	opAtomic      = 0xfe
)

// An op is an instruction that takes values and gives one, with no immediate but
// lanes and addresses.
type op struct {
	code []byte
	in   []valType
	out  valType // 0: none

	lanes  byte // the number of its lanes: one follows the code
	access bool // the first operand is an address, a memory argument follows
	align  byte // the alignment of the access, as a power of two
	atomic bool // the address must have that alignment
	nan    bool // it may make a NaN of any bits
	leaks  byte // of the operands: those whose bits get out, a bit each
	traps  byte // 1: as the divisor is; 2: as the float is
}

// ops are all such instructions, by what they give.
var ops = func() map[valType][]op {
	t := map[valType][]op{}
	for _, o := range slicesOf(scalarOps(), memoryOps(), vectorOps(), atomicOps()) {
		t[o.out] = append(t[o.out], o)
	}
	return t
}()

func slicesOf(lists ...[]op) (all []op) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// span makes an op of each opcode from first to last.
func span(first, last byte, out valType, in ...valType) (list []op) {
	for c := int(first); c <= int(last); c++ {
		list = append(list, op{code: []byte{byte(c)}, in: in, out: out})
	}
	return list
}

// with changes each op of a list.
func with(list []op, change func(*op)) []op {
	for i := range list {
		change(&list[i])
	}
	return list
}

func scalarOps() []op {
	nan := func(o *op) { o.nan = true }
	trap := func(how byte) func(*op) { return func(o *op) { o.traps = how } }
	first := func(o *op) { o.leaks = 1 }
	sat := func(from, to uint32, out, in valType) (list []op) {
		for n := from; n <= to; n++ {
			list = append(list, op{code: append([]byte{opBulk}, uleb(uint64(n))...), in: []valType{in}, out: out})
		}
		return list
	}
	return slicesOf(
		span(0x45, 0x45, i32, i32), span(0x46, 0x4f, i32, i32, i32), span(0x50, 0x50, i32, i64),
		span(0x51, 0x5a, i32, i64, i64), span(0x5b, 0x60, i32, f32, f32), span(0x61, 0x66, i32, f64, f64),
		span(0x67, 0x69, i32, i32), span(0x6a, 0x6c, i32, i32, i32), with(span(0x6d, 0x70, i32, i32, i32), trap(1)), span(0x71, 0x78, i32, i32, i32),
		span(0x79, 0x7b, i64, i64), span(0x7c, 0x7e, i64, i64, i64), with(span(0x7f, 0x82, i64, i64, i64), trap(1)), span(0x83, 0x8a, i64, i64, i64),
		span(0x8b, 0x8c, f32, f32), with(span(0x8d, 0x91, f32, f32), nan), with(span(0x92, 0x97, f32, f32, f32), nan),
		with(span(0x98, 0x98, f32, f32, f32), func(o *op) { o.leaks = 2 }),
		span(0x99, 0x9a, f64, f64), with(span(0x9b, 0x9f, f64, f64), nan), with(span(0xa0, 0xa5, f64, f64, f64), nan),
		with(span(0xa6, 0xa6, f64, f64, f64), func(o *op) { o.leaks = 2 }),
		span(0xa7, 0xa7, i32, i64), with(span(0xa8, 0xa9, i32, f32), trap(2)), with(span(0xaa, 0xab, i32, f64), trap(2)),
		span(0xac, 0xad, i64, i32), with(span(0xae, 0xaf, i64, f32), trap(2)), with(span(0xb0, 0xb1, i64, f64), trap(2)),
		span(0xb2, 0xb3, f32, i32), span(0xb4, 0xb5, f32, i64), with(span(0xb6, 0xb6, f32, f64), nan),
		span(0xb7, 0xb8, f64, i32), span(0xb9, 0xba, f64, i64), with(span(0xbb, 0xbb, f64, f32), nan),
		with(span(0xbc, 0xbc, i32, f32), first), with(span(0xbd, 0xbd, i64, f64), first),
		span(0xbe, 0xbe, f32, i32), span(0xbf, 0xbf, f64, i64),
		span(0xc0, 0xc1, i32, i32), span(0xc2, 0xc4, i64, i64),
		sat(0, 1, i32, f32), sat(2, 3, i32, f64), sat(4, 5, i64, f32), sat(6, 7, i64, f64),
	)
}

func memoryOps() (list []op) {
	for i, l := range []struct {
		typ   valType
		align byte
	}{
		{i32, 2}, {i64, 3}, {f32, 2}, {f64, 3}, {i32, 0}, {i32, 0}, {i32, 1}, {i32, 1}, {i64, 0}, {i64, 0}, {i64, 1}, {i64, 1}, {i64, 2}, {i64, 2},
	} {
		list = append(list, op{code: []byte{byte(0x28 + i)}, in: []valType{i32}, out: l.typ, access: true, align: l.align})
	}
	for i, s := range []struct {
		typ   valType
		align byte
	}{{i32, 2}, {i64, 3}, {f32, 2}, {f64, 3}, {i32, 0}, {i32, 1}, {i64, 0}, {i64, 1}, {i64, 2}} {
		list = append(list, op{code: []byte{byte(0x36 + i)}, in: []valType{i32, s.typ}, access: true, align: s.align, leaks: 2})
	}
	return list
}

// vec makes an op of each vector instruction from first to last.
func vec(first, last uint64, out valType, in ...valType) (list []op) {
	for n := first; n <= last; n++ {
		list = append(list, op{code: append([]byte{opVector}, uleb(n)...), in: in, out: out})
	}
	return list
}

func vectorOps() []op {
	const v = v128
	nan := func(o *op) { o.nan = true }
	access := func(align byte) func(*op) { return func(o *op) { o.access, o.align = true, align } }
	lane := func(lanes, leaks byte) func(*op) { return func(o *op) { o.lanes, o.leaks = lanes, leaks } }
	all := slicesOf(
		with(vec(0, 0, v, i32), access(4)), with(vec(1, 6, v, i32), access(3)), with(vec(7, 7, v, i32), access(0)), with(vec(8, 8, v, i32), access(1)),
		with(vec(9, 9, v, i32), access(2)), with(vec(10, 10, v, i32), access(3)), with(vec(11, 11, 0, i32, v), access(4)),
		with(vec(92, 92, v, i32), access(2)), with(vec(93, 93, v, i32), access(3)),
		vec(14, 14, v, v, v), vec(15, 17, v, i32), vec(18, 18, v, i64), with(vec(19, 19, v, f32), lane(0, 1)), with(vec(20, 20, v, f64), lane(0, 1)),
		with(vec(21, 22, i32, v), lane(16, 0)), with(vec(23, 23, v, v, i32), lane(16, 0)), with(vec(24, 25, i32, v), lane(8, 0)), with(vec(26, 26, v, v, i32), lane(8, 0)),
		with(vec(27, 27, i32, v), lane(4, 0)), with(vec(28, 28, v, v, i32), lane(4, 0)), with(vec(29, 29, i64, v), lane(2, 0)), with(vec(30, 30, v, v, i64), lane(2, 0)),
		with(vec(31, 31, f32, v), lane(4, 0)), with(vec(32, 32, v, v, f32), lane(4, 2)), with(vec(33, 33, f64, v), lane(2, 0)), with(vec(34, 34, v, v, f64), lane(2, 2)),
		vec(35, 76, v, v, v), vec(77, 77, v, v), vec(78, 81, v, v, v), vec(82, 82, v, v, v, v), vec(83, 83, i32, v),
		with(vec(94, 95, v, v), nan), vec(96, 98, v, v), vec(99, 100, i32, v), vec(101, 102, v, v, v), with(vec(103, 106, v, v), nan), vec(107, 109, v, v, i32),
		vec(110, 115, v, v, v), with(vec(116, 117, v, v), nan), vec(118, 121, v, v, v), with(vec(122, 122, v, v), nan), vec(123, 123, v, v, v), vec(124, 129, v, v),
		vec(130, 130, v, v, v), vec(131, 132, i32, v), vec(133, 134, v, v, v), vec(135, 138, v, v), vec(139, 141, v, v, i32), vec(142, 147, v, v, v),
		with(vec(148, 148, v, v), nan), vec(149, 153, v, v, v), vec(155, 159, v, v, v), vec(160, 161, v, v), vec(163, 164, i32, v), vec(167, 170, v, v),
		vec(171, 173, v, v, i32), vec(174, 174, v, v, v), vec(177, 177, v, v, v), vec(181, 186, v, v, v), vec(188, 191, v, v, v), vec(192, 193, v, v),
		vec(195, 196, i32, v), vec(199, 202, v, v), vec(203, 205, v, v, i32), vec(206, 206, v, v, v), vec(209, 209, v, v, v), vec(213, 223, v, v, v),
		vec(224, 225, v, v), with(vec(227, 227, v, v), nan), with(vec(228, 235, v, v, v), nan), vec(236, 237, v, v), with(vec(239, 239, v, v), nan),
		with(vec(240, 247, v, v, v), nan), vec(248, 249, v, v), vec(250, 251, v, v), vec(252, 253, v, v), vec(254, 255, v, v),
	)
	for i := range uint64(4) { // lanes of 1, 2, 4 and 8 bytes
		all = append(all, with(with(vec(84+i, 84+i, v, i32, v), access(byte(i))), lane(16>>i, 0))...)
		all = append(all, with(with(vec(88+i, 88+i, 0, i32, v), access(byte(i))), lane(16>>i, 0))...)
	}
	return all
}

// atomicOps are those that do not wait.
func atomicOps() (list []op) {
	kinds := []struct {
		typ   valType
		align byte
	}{{i32, 2}, {i64, 3}, {i32, 0}, {i32, 1}, {i64, 0}, {i64, 1}, {i64, 2}}
	add := func(n int, align byte, out valType, in ...valType) {
		list = append(list, op{code: []byte{opAtomic, byte(n)}, in: in, out: out, access: true, align: align, atomic: true})
	}
	add(0, 2, i32, i32, i32) // memory.atomic.notify
	for i, k := range kinds {
		add(0x10+i, k.align, k.typ, i32)
		add(0x17+i, k.align, 0, i32, k.typ)
		for rmw := 0x1e; rmw < 0x48; rmw += len(kinds) {
			add(rmw+i, k.align, k.typ, i32, k.typ)
		}
		add(0x48+i, k.align, k.typ, i32, k.typ, k.typ)
	}
	return list
}

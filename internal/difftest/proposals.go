package difftest

import (
	"math/rand/v2"
	"slices"
)

// Modules of proposals that are off: with the fence they are refused, each of them;
// without it they are run by the two engines.

// A handmade module is one that is put together by hand.
type handmade struct {
	types, funcs, tags, exports, elems, bodies [][]byte
}

func (b *handmade) encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		entries [][]byte
	}{{1, b.types}, {3, b.funcs}, {13, b.tags}, {7, b.exports}, {9, b.elems}, {10, b.bodies}} {
		if len(s.entries) > 0 {
			out = append(append(out, s.id), sized(list(s.entries))...)
		}
	}
	return out
}

func (b *handmade) typ(s signature) int {
	b.types = append(b.types, s.encode())
	return len(b.types) - 1
}

// function adds a function that is exported.
func (b *handmade) function(typ int, locals []valType, code ...[]byte) {
	var groups [][]byte
	for _, l := range locals {
		groups = append(groups, []byte{1, byte(l)})
	}
	b.exports = append(b.exports, append(append(named("f"+string(rune('0'+len(b.funcs)))), 0), uleb(uint64(len(b.funcs)))...))
	b.funcs = append(b.funcs, uleb(uint64(typ)))
	b.bodies = append(b.bodies, sized(slices.Concat(list(groups), slices.Concat(code...), []byte{opEnd})))
}

// exceptions makes a module whose functions throw, catch and go on.
func exceptions(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 3))
	b := &handmade{}
	var tags [][]valType
	for range 1 + r.IntN(3) {
		params := make([]valType, r.IntN(4))
		for i := range params {
			params[i] = []valType{i32, i64, f64, f32, v128}[r.IntN(5)]
		}
		tags = append(tags, params)
		b.tags = append(b.tags, append([]byte{0}, uleb(uint64(b.typ(signature{params: params})))...))
	}
	main := b.typ(signature{[]valType{i32}, []valType{i32}})
	count := 1 + r.IntN(3)
	for f := range count {
		t := r.IntN(len(tags))
		const param, x, sum = 0, 1, 2
		caught := b.typ(signature{results: tags[t]})
		inc := []byte{opLocalGet, x, opI32Const, byte(1 + r.IntN(5)), 0x6a, opLocalSet, x}
		var values []byte
		for _, v := range tags[t] {
			values = append(values, constant(v, uint64(r.IntN(100))).code...)
		}
		throw := slices.Concat([]byte{opLocalGet, x, opI32Const, byte(r.IntN(8)), 0x71, opIf, 0x40}, values, []byte{opThrow, byte(t), opEnd})
		inner := slices.Concat(inc, throw, inc)
		if f > 0 && r.IntN(2) == 0 { // a call of the function before may throw, too
			inner = slices.Concat(inc, []byte{opLocalGet, x, opI32Const, 7, 0x71, opCall, byte(f - 1), opLocalGet, sum, 0x6a, opLocalSet, sum}, throw)
		}
		if r.IntN(4) == 0 {
			inner = slices.Concat(inner, []byte{opLocalGet, x, opI32Const, 1, 0x71, opBrIf, 0}) // to the try_table itself
		}
		kind := byte(0) // catch
		if r.IntN(4) == 0 {
			kind = 1 // with a reference to the exception
		}
		try := slices.Concat([]byte{opTryTable, 0x40, 1, kind, byte(t), 0}, inner, []byte{opEnd})
		blockType := sleb(int64(caught))
		if kind == 1 {
			blockType = sleb(int64(b.typ(signature{results: append(slices.Clone(tags[t]), 0x69)})))
		}
		take := slices.Repeat([]byte{opDrop}, len(tags[t]))
		if kind == 1 {
			take = append(take, opDrop)
		}
		pass := slices.Concat([]byte{opBlock, 0x40, opBlock}, blockType, try, []byte{opBr, 1, opEnd}, take,
			[]byte{opLocalGet, x, opLocalGet, sum, 0x6a, opLocalSet, sum, opEnd})
		loop := slices.Concat([]byte{opLoop, 0x40}, pass, []byte{opLocalGet, param, opI32Const, 1, 0x6b, opLocalTee, param, opI32Const, 0, 0x4a, opBrIf, 0, opEnd})
		b.function(main, []valType{i32, i32}, []byte{opLocalGet, param}, sleb(0)[:0], []byte{opI32Const, 15, 0x71, opLocalSet, param}, loop, []byte{opLocalGet, sum, opLocalGet, x, 0x6a})
	}
	return b.encode()
}

// references makes a module that calls functions by typed references, of which half
// have the wrong type: those are not valid.
func references(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 4))
	b := &handmade{}
	sigs := []signature{{nil, []valType{i64}}, {[]valType{i64}, []valType{i64}}, {[]valType{f64, i32}, []valType{i64}}}
	for _, s := range sigs {
		b.typ(s)
	}
	for i := range sigs {
		code := []byte{opI64Const, byte(i)}
		if i == 1 {
			code = []byte{opLocalGet, 0, opI64Const, 3, 0x7e}
		}
		b.function(i, nil, code)
	}
	for range 1 + r.IntN(3) {
		takes, is := r.IntN(len(sigs)), r.IntN(len(sigs))
		var args []byte
		for _, p := range sigs[takes].params {
			args = append(args, constant(p, uint64(r.IntN(1000))).code...)
		}
		b.function(0, nil, args, []byte{opRefFunc, byte(is), opCallRef, byte(takes)})
	}
	b.elems = [][]byte{{3, 0, 3, 0, 1, 2}} // declared
	return b.encode()
}

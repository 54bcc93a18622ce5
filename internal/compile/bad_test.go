package compile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A bad module is refused when it is loaded, with words that say why: one of those that want
// has, with "|" between them.
type wrongModule struct {
	name string
	wasm []byte
	want string
}

// head starts every binary.
const wasmHead = "\x00asm\x01\x00\x00\x00"

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func cat(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, leb(p)...)
		case string:
			out = append(out, p...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// sec is a section.
func sec(id int, parts ...any) []byte {
	content := cat(parts...)
	return cat(id, len(content), content)
}

// str is a name.
func str(s string) []byte { return cat(len(s), s) }

// One type () -> i32, one function of it, exported as f.
var (
	oneType   = sec(1, 1, "\x60\x00\x01\x7f")
	oneFunc   = sec(3, 1, 0)
	exportF   = sec(7, 1, str("f"), 0, 0)
	oneMemory = sec(5, 1, 0, 1)
)

// body is a code section with one function: the locals and the code.
func fnBody(locals []byte, code ...any) []byte {
	b := cat(locals, cat(code...))
	return sec(10, 1, len(b), b)
}

var noLocals = []byte{0}

// task is a module with one task of that code.
func task(code ...any) []byte {
	return cat(wasmHead, oneType, oneFunc, exportF, fnBody(noLocals, code...))
}

// importing is a module with imports, each a module, a name, and a description.
func importing(imports ...[]byte) []byte {
	return cat(wasmHead, oneType, sec(2, len(imports), bytes.Join(imports, nil)))
}

func imported(module, name string, description ...any) []byte {
	return cat(str(module), str(name), cat(description...))
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// taken is what is said of a module that is not refused.
const taken = "it is taken"

const return0 = "\x41\x00\x0b"

// hiddenLoop counts down from 2^31 in what looks like the operand of v128.const,
// whose number takes two bytes: the engine reads only the first as the number.
const hiddenLoop = "\x42\x80\x80\x80\x80\x08\x21\x00\x02\x40\x0c\x00\xfd\x8c\x00" +
	"\x0b\x03\x40\x20\x00\x42\x01\x7d\x22\x00\x50\x45\x0d\x00\x0b\x02\x40\x01\x0b"

func badModules() []wrongModule {
	good := task(return0)
	list := []wrongModule{
		{"nothing", nil, "empty"},
		{"text", []byte("(module)"), "not a wasm module"},
		{"html", []byte("<!doctype html><title>404</title>"), "not a wasm module"},
		{"elf", []byte("\x7fELF\x02\x01\x01"), "not a wasm module"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "not a wasm module"},
		{"half a header", []byte("\x00asm\x01"), "truncated"},
		{"version 2", []byte("\x00asm\x02\x00\x00\x00"), "version"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "component-model"},
		{"unknown section", cat(wasmHead, sec(14, 0)), "unknown section"},
		{"section past the end", cat(wasmHead, 1, 100, "\x00"), "truncated"},
		{"section of 4 GiB", cat(wasmHead, "\x01\xff\xff\xff\xff\x0f"), "truncated"},
		{"section length of six bytes", cat(wasmHead, "\x01\xff\xff\xff\xff\xff\x0f"), "does not fit"},
		{"two type sections", cat(wasmHead, oneType, oneType), "twice"},
		{"4e9 types", cat(wasmHead, sec(1, "\xff\xff\xff\xff\x0f")), "truncated"},
		{"sections out of order", cat(wasmHead, oneType, exportF, oneFunc, fnBody(noLocals, return0)), "section"},
		{"type of a struct", cat(wasmHead, sec(1, 1, "\x5f\x01\x7f\x00")), "garbage-collected"},
		{"type with an unknown value", cat(wasmHead, sec(1, 1, "\x60\x01\x20\x00")), "unknown"},
		{"type section with a rest", cat(wasmHead, sec(1, 0, "xyz")), "too many"},
		{"function of no type", cat(wasmHead, oneType, sec(3, 1, 7), fnBody(noLocals, return0)), "type"},
		{"function without code", cat(wasmHead, oneType, oneFunc), "code"},
		{"code without function", cat(wasmHead, oneType, fnBody(noLocals, return0)), "function"},
		{"export of no function", cat(wasmHead, oneType, sec(7, 1, str("f"), 0, 9)), "function 9"},
		{"export twice", cat(wasmHead, oneType, oneFunc, sec(7, 2, str("f"), 0, 0, str("f"), 0, 0), fnBody(noLocals, return0)), "twice"},
		{"export of no UTF-8", cat(wasmHead, oneType, oneFunc, sec(7, 1, 2, "\xff\xfe", 0, 0), fnBody(noLocals, return0)), "UTF-8"},
		{"export of no global", cat(wasmHead, sec(7, 1, str("g"), 3, 0)), "global 0"},
		{"export of the fuel's name", cat(wasmHead, sec(6, 1, "\x7e\x01\x42\x00\x0b"), sec(7, 1, str("wasmpool_fuel"), 3, 0)), "wasmpool's own"},

		{"import of nobody's", importing(imported("env", "f", 0, 0)), "nobody offers a module \"env\""},
		{"import of no function", importing(imported("wasmpool", "fly", 0, 0)), "wasmpool.fly, which does not exist here"},
		{"import of no WASI function", importing(imported("wasi_snapshot_preview1", "fd_fly", 0, 0)), "does not exist"},
		{"import of another type", importing(imported("wasmpool", "log", 0, 0)), "it is (i32, i32, i32)"},
		{"import of the tick", importing(imported("wasmpool", "tick", 0, 0)), "not for modules"},
		{"import of a memory", importing(imported("env", "memory", 2, 0, 1)), "imports the memory"},
		{"import of a table", importing(imported("env", "table", 1, "\x70", 0, 1)), "imports the table"},
		{"import of a global", importing(imported("env", "g", 3, "\x7f\x00")), "imports the global"},
		{"import of an unknown kind", importing(imported("env", "x", 9, 0)), "unknown kind"},
		{"three bad imports", importing(imported("env", "a", 0, 0), imported("env", "b", 0, 0), imported("env", "c", 0, 0)), "3 functions of env (a, b, c): nobody offers"},
		{
			"many bad imports", importing(imported("env", "a", 0, 0), imported("env", "b", 0, 0), imported("env", "c", 0, 0), imported("env", "d", 0, 0), imported("x", "memory", 2, 0, 1)),
			"4 functions of env (a, b, c, …): nobody offers a module \"env\" here, only wasi_snapshot_preview1 and wasmpool; it imports the memory x.memory",
		},

		{"memory of 64 bits", cat(wasmHead, sec(5, 1, 4, 1)), "64-bit memory"},
		{"memory that is shared", cat(wasmHead, sec(5, 1, 3, 1, 1)), "shared between threads"},
		{"memory of 4 GiB", cat(wasmHead, sec(5, 1, 0, 65536)), "starts with 4096 MiB"},
		{"memory of a page more than 2 GiB", cat(wasmHead, sec(5, 1, 0, 32769)), "starts with 2048.0625 MiB"},
		{"memory past 4 GiB", cat(wasmHead, sec(5, 1, 0, "\xff\xff\xff\xff\x0f")), "MiB of memory, the limit is"},
		{"memory of small pages", cat(wasmHead, sec(5, 1, 8, 1, 0)), "pages of its own size"},
		{"two memories", cat(wasmHead, sec(5, 2, 0, 1, 0, 1)), "2 memories, the limit is 1"},
		{"table of 4e9", cat(wasmHead, sec(4, 1, "\x70", 0, "\xff\xff\xff\xff\x0f")), "table entries, the limit is"},
		{"two tables of a million", cat(wasmHead, sec(4, 2, repeat("\x70\x00\xc0\x84\x3d", 2))), "2000000 table entries, the limit is"},
		{"100 tables", cat(wasmHead, sec(4, 100, repeat("\x70\x00\x01", 100))), "100 tables, the limit is"},
		{"many types", cat(wasmHead, sec(1, 100_001, repeat("\x60\x00\x00", 100_001))), "types, the limit is"},
		{"many functions", cat(wasmHead, oneType, sec(3, mostFunctions+1, repeat("\x00", mostFunctions+1)),
			sec(10, mostFunctions+1, repeat("\x04\x00\x41\x00\x0b", mostFunctions+1))), "functions, the limit is"},
		{"many globals", cat(wasmHead, sec(6, mostGlobals+1, repeat("\x7f\x00\x41\x00\x0b", mostGlobals+1))), "globals, the limit is"},
		{"many data segments", cat(wasmHead, oneMemory, sec(11, mostSegments+1, repeat("\x01\x00", mostSegments+1))), "data segments, the limit is"},

		{"4e9 locals", cat(wasmHead, oneType, oneFunc, exportF, fnBody(cat(1, "\xff\xff\xff\xff\x0f\x7f"), return0)), "locals in one function, the limit is"},
		{"locals in many pieces", cat(wasmHead, oneType, oneFunc, exportF, fnBody(cat(51, repeat("\xe8\x07\x7f", 51)), return0)), "51000 locals"},
		{"20,000 loops in each other", task(repeat("\x03\x40", 20_000), repeat("\x0b", 20_000), return0), "blocks in each other"},
		{"100,000 blocks in each other", task(repeat("\x02\x40", 100_000), repeat("\x0b", 100_000), return0), "blocks in each other"},
		{"50,000 ifs in each other", task(repeat("\x41\x01\x04\x40\x05", 50_000), repeat("\x0b", 50_000), return0), "blocks in each other"},
		{"br_table of a million", task("\x02\x40\x41\x00\x0e", 1_000_000, repeat("\x00", 1_000_001), "\x0b", return0), "targets of a br_table"},
		{"function of 2 MiB", task(repeat("\x01", 2<<20), return0), "bytes in one function"},
		{"unknown instruction", task("\xff\x0b"), "unknown instruction"},
		{"loop in a vector constant", cat(wasmHead, oneType, oneFunc, exportF, fnBody([]byte("\x01\x01\x7e"), hiddenLoop, return0)), "longer form"},
		{"relaxed swizzle", task("\xfd\x80\x02", return0), "instruction 0xfd 256 belongs to relaxed vector instructions"},
		{"relaxed dot product", task("\xfd\x93\x02", return0), "instruction 0xfd 275 belongs to relaxed vector instructions"},
		{"vector instruction that nobody has", task("\xfd\x94\x02", return0), "does not have"},
		{"wide sum", task("\xfc\x13", return0), "wide arithmetic"},
		{"one body too many", cat(wasmHead, oneType, oneFunc, exportF, sec(10, 2, repeat("\x04\x00\x41\x00\x0b", 2))), "declares 1 functions, and has the code of 2"},
		{"call in a body too many", cat(wasmHead, oneType, oneFunc, exportF, sec(10, 2, repeat("\x08\x00\x10\x00\x1a\x41\x00\x0b\x0b", 2))), "declares 1 functions, and has the code of 2"},
		{"too few bodies", cat(wasmHead, oneType, sec(3, 2, 0, 0), exportF, sec(10, 1, "\x06\x00\x10\x01\x0b")), "declares 2 functions, and has the code of 1"},
		{"local that the fuel would be", task("\x03\x40\x20\x00\x1a\x0b", return0), "local"},
		{"local that is set in a loop", task("\x03\x40\x42\x7f\x21\x00\x0c\x00\x0b", return0), "local"},
		{"name section that is wrong", cat(task(return0), sec(0, str("name"), "\x01\x05\x01\x00\x01")), "name"},

		{"exceptions of the old kind", task("\x06\x40\x0b", return0), "legacy exceptions, which are off here, as the newer ones are: compile with -fno-exceptions"},
		{"catch_all of the old kind", task("\x19\x0b", return0), "legacy exceptions"},
		{"delegate of the old kind", task("\x18\x00\x0b", return0), "legacy exceptions"},
		{"throw", task("\x08\x00\x0b"), "exceptions"},
		{"throw_ref", task("\xd0\x69\x0a\x0b"), "exceptions"},
		{"try_table", task("\x1f\x40\x00\x0b", return0), "exceptions"},
		{"tag", cat(wasmHead, sec(1, 1, "\x60\x00\x00"), sec(13, 1, 0, 0)), "the tag section belongs to exceptions"},
		{"exnref as a parameter", cat(wasmHead, sec(1, 1, "\x60\x01\x69\x00")), "type 0 has exnref, which belongs to exceptions"},
		{"exnref as a local", cat(wasmHead, oneType, oneFunc, fnBody([]byte("\x01\x01\x69"), return0)), "exceptions"},
		{"exnref as a global", cat(wasmHead, sec(6, 1, "\x69\x00\xd0\x69\x0b")), "exceptions"},
		{"table of exnref", cat(wasmHead, sec(4, 1, "\x69\x00\x01")), "exceptions"},
		{"block of exnref", task("\x02\x69\x0b"), "exceptions"},
		{"call_ref", task("\xd2\x00\x14\x00\x0b"), "typed function references, which are off here"},
		{"return_call_ref", task("\xd2\x00\x15\x00\x0b"), "typed function references"},
		{"ref.as_non_null", task("\xd0\x70\xd4\x1a", return0), "typed function references"},
		{"typed reference as a result", cat(wasmHead, sec(1, 1, "\x60\x00\x01\x63\x00")), "type 0 has ref null, which belongs to typed function references"},
		{"typed reference as a global", cat(wasmHead, oneType, sec(6, 1, "\x63\x00\x00\xd0\x00\x0b")), "typed function references"},
		{"typed reference as a local", cat(wasmHead, oneType, oneFunc, fnBody([]byte("\x01\x01\x63\x70"), return0)), "typed function references"},
		{"null of a type", task("\xd0\x00\x1a", return0), "typed function references"},
		{"table with a first value", cat(wasmHead, sec(4, 1, "\x40\x00\x70\x00\x01\xd0\x70\x0b")), "typed function references"},
		{"elements that are typed", cat(wasmHead, oneType, sec(9, 1, 5, "\x63\x00", 1, "\xd0\x00\x0b")), "typed function references"},
		{"select of typed references", task("\xd0\x70\xd0\x70\x41\x00\x1c\x01\x63\x70\x1a", return0), "typed function references"},
		{"tail call", task("\x12\x00\x0b"), "tail calls, which are off here"},
		{"tail call through a table", task("\x41\x00\x13\x00\x00\x0b"), "tail calls"},
		{"atomic instruction", cat(wasmHead, oneType, oneFunc, oneMemory, exportF, fnBody(noLocals, "\x41\x00\xfe\x10\x02\x00\x0b")), "atomic instructions, which are off here"},
		{"own global as a global's value", cat(wasmHead, sec(6, 2, "\x7f\x00\x41\x05\x0b\x7f\x00\x23\x00\x0b")), "a first value is that of global 0, which is not imported"},
		{"table with 64-bit indices", cat(wasmHead, sec(4, 1, "\x70\x04\x01")), "a table with 64-bit indices belongs to memory64"},
		{"shared table", cat(wasmHead, sec(4, 1, "\x70\x03\x01\x02")), "a table has the flags 0x03"},
		{"sum as a global's value", cat(wasmHead, sec(6, 1, "\x7f\x00\x41\x01\x41\x01\x6a\x0b")), "extended constant expressions"},
		{"garbage collection", task("\xfb\x00\x00\x1a", return0), "garbage-collected"},
		{"code without an end", task("\x41\x00"), "truncated"},
		{"code after the end", task(return0, "\x01\x01"), "ends after"},
		{"wrong type on the stack", task("\x42\x00\x0b"), "type"},
		{"empty stack", task("\x6a\x0b"), "i32.add"},
		{"call of no function", task("\x10\x63\x0b"), "function"},
		{"no such global", task("\x23\x05\x1a", return0), "global 5 does not exist"},
		{"the fuel itself", task("\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x24\x00", return0), "global 0 does not exist"},
		{"call of an added type", task("\x41\x00\x11\x01\x00\x1a", return0), "type 1 does not exist"},
		{"branch out of the function", task("\x0c\x05\x0b"), "br"},
		{"load without a memory", task("\x41\x00\x28\x02\x00\x0b"), "memory"},
		{"start of no function", cat(wasmHead, oneType, sec(8, 3)), "function 3"},
		{"start with a result", cat(wasmHead, oneType, oneFunc, exportF, sec(8, 0), fnBody(noLocals, return0)), "start"},
	}
	hard := straining()
	if unittest.Race { // one shows that it is contained here, too: a child has no races
		hard = hard[:1]
	}
	list = append(list, hard...)
	for n := 9; n < len(good); n += 3 {
		list = append(list, wrongModule{fmt.Sprintf("cut after %d bytes", n), good[:n], ""})
	}
	return list
}

// straining returns modules that pass the gate, but that the compiler cannot cope
// with: its child process contains them.
func straining() []wrongModule {
	locals := func(n int) []byte { return cat(1, n, "\x7f") }
	one := func(locals []byte, code ...any) []byte {
		return cat(wasmHead, oneType, oneFunc, exportF, fnBody(locals, code...))
	}
	const loop, again, end = "\x03\x40", "\x41\x00\x0d\x00", "\x0b"
	var carrying []byte // each loop sets a local, which all others carry along
	for i := range 10_000 {
		carrying = cat(carrying, loop, "\x41\x00\x21", i, again, end)
	}
	empty := cat(locals(mostLocals), return0)
	empty = cat(len(empty), empty)
	const (
		large = "MiB of memory"
		slow  = "s of CPU time|" + large // whichever comes first
	)
	return []wrongModule{
		{"50,000 locals and 10,000 loops", one(locals(mostLocals), repeat(loop+again+end, 10_000), return0), slow},
		{"10,000 loops that set locals", one(locals(10_000), carrying, return0), slow},
		{"br_table of 65,000", task("\x02\x40\x41\x00\x0e", 65_000, repeat("\x00", 65_001), "\x0b", return0), slow},
		{"9,990 loops in each other", task(repeat("\x03\x40", 9_990), repeat("\x0b", 9_990), return0), slow},
		{"9,990 ifs in each other", task(repeat("\x41\x01\x04\x40\x05", 9_990), repeat("\x0b", 9_990), return0), slow},
		{"30,000 ifs", task(repeat("\x41\x00\x04\x40\x0b", 30_000), return0), slow},
		{"100,000 calls", task(repeat("\x10\x00\x1a", 100_000), return0), taken + "|" + slow},
		{"3000 functions of 50,000 locals", cat(wasmHead, oneType, sec(3, 3000, repeat("\x00", 3000)), exportF, sec(10, 3000, repeat(string(empty), 3000))), slow},
	}
}

// A cost is what it took to refuse or contain a module.
type cost struct {
	wall, cpu   time.Duration // cpu is of this process and the child
	allocated   int64         // bytes, by this process, also those that were freed
	peak, child int64         // most bytes in RAM of this process, and of the child; 0 without one
}

func (c cost) String() string {
	return fmt.Sprintf("%7v (CPU %7v), %3d MiB allocated, peak %3d MiB, of the child %3d MiB",
		c.wall.Round(100*time.Microsecond), c.cpu.Round(100*time.Microsecond), c.allocated>>20, c.peak>>20, c.child>>20)
}

// costOf measures f, which loads a module with p.
func costOf(t *testing.T, p *Pipeline, f func()) cost {
	t.Helper()
	var c cost
	p.childEnded = func(end *os.ProcessState) {
		c.cpu += end.UserTime() + end.SystemTime()
		c.child = max(c.child, peakOf(end))
	}
	defer func() { p.childEnded = nil }()
	forgetPeak(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := unittest.CPUTime(t), time.Now()
	f()
	c.wall, c.cpu = time.Since(start), c.cpu+unittest.CPUTime(t)-cpu
	c.peak = peakMemory(t)
	runtime.ReadMemStats(&after)
	c.allocated = int64(after.TotalAlloc - before.TotalAlloc)
	return c
}

// TestBadModules loads modules that are wrong or hostile, each of which must be refused
// with the right words, within 2 s and 256 MiB, and leave the pipeline well. The race
// detector multiplies both, and the child's limits with them. Package host has a test of
// its own with modules that only fail when they run.
func TestBadModules(t *testing.T) { // alone, as it measures this process
	const mostMemory, mostTime = 256 << 20 * raceFactor, 2 * time.Second * raceFactor
	p := newPipeline(t, Config{CacheDir: t.TempDir(), Rules: Rules{MemoryLimit: 1 << 30}})
	modules := badModules()
	if len(modules) < 60 {
		t.Fatalf("%d bad modules, want at least 60", len(modules))
	}
	var worst cost
	for _, bad := range modules {
		var err error
		c := costOf(t, p, func() { err = tryModule(t, p, bad.wasm) })
		t.Logf("%-32s %v", bad.name, c)
		worst = cost{
			max(worst.wall, c.wall), max(worst.cpu, c.cpu),
			max(worst.allocated, c.allocated), max(worst.peak, c.peak), max(worst.child, c.child),
		}
		said := func(words string) bool { return strings.Contains(cmp.Or(err, errTaken).Error(), words) }
		if !slices.ContainsFunc(strings.Split(bad.want, "|"), said) || err == nil && bad.want == "" {
			t.Errorf("%s: got %v, want %q in it", bad.name, cmp.Or(err, errTaken), bad.want)
		}
		if max(c.allocated, c.child) > mostMemory {
			t.Errorf("%s: it took too much memory: %v", bad.name, c)
		}
		if c.cpu > mostTime { // by the clock, it is also what else the machine does
			t.Errorf("%s: it took too long: %v", bad.name, c)
		}
	}
	t.Logf("%-32s %v", "worst of each", worst)
	if err := tryModule(t, p, task(return0)); err != nil {
		t.Errorf("afterwards a good module fails: %v", err)
	}
}

var errTaken = errors.New(taken)

// tryModule loads a module as from a file. It returns nil if it is taken, and has the
// task f.
func tryModule(t *testing.T, p *Pipeline, wasm []byte) error {
	t.Helper()
	m, err := wasmtasks.Load("bad", wasm)
	if err != nil {
		return err
	}
	c, err := p.Load(t.Context(), m)
	if err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	if _, ok := m.Task("f"); !ok {
		return errors.New("it has no task f")
	}
	return nil
}

// FuzzModule gives the pipeline any bytes: it takes what the engine takes, but for what
// has a rule of our own against it, and nothing else.
func FuzzModule(f *testing.F) {
	for _, bad := range badModules() {
		if len(bad.wasm) < 4<<10 {
			f.Add(bad.wasm)
		}
	}
	f.Add(task(return0))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if _, err := acceptance(t.Context(), wasm); err != nil {
			t.Error(err)
		}
	})
}

// However long the names of a module are, and however many, what is said of them is not.
func TestProblemsAreShort(t *testing.T) {
	t.Parallel()
	var list [][]byte
	for range 100 {
		list = append(list, imported(strings.Repeat("m", 50_000), strings.Repeat("n", 50_000), 0, 0))
	}
	for _, wasm := range [][]byte{importing(list...), cat(wasmHead, oneType, oneFunc, sec(7, 1, str(strings.Repeat("e", 90_000)), 0, 9))} {
		if _, err := Gate(wasm, usual()); err == nil || len(err.Error()) > 10_000 {
			t.Errorf("an error of %d bytes: %.100v", len(fmt.Sprint(err)), err)
		}
	}
}

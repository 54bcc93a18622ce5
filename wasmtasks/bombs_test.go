package wasmtasks

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A bomb is a module that is small beside what it might make its reader allocate.
type bomb struct {
	name string
	wasm []byte
	want string // what the error says; empty for a module that is fine
}

func bombs() []bomb {
	const count = 1 << 20
	header := "\x00asm\x01\x00\x00\x00"
	long := "\x60" + uvarint(1000) + strings.Repeat("\x7f", 1000) + "\x00" // a type
	short := "\x60\x00\x00"
	module := func(types string, sections ...string) []byte {
		return []byte(header + section(1, 1, types) + strings.Join(sections, ""))
	}
	exports := func(n int, name string) string { // of function 0
		var b strings.Builder
		for i := range n {
			text := fmt.Sprintf(name, i)
			b.WriteString(uvarint(len(text)) + text + "\x00\x00")
		}
		return section(3, 1, "\x00") + section(7, n, b.String())
	}
	docs := func(text string) []byte {
		return appendSection(module(short, exports(1, "task%x")), abi.SectionTasks, []byte(text))
	}
	imports := strings.Repeat("\x01m\x01n\x00\x00", 10_000)
	return []bomb{
		{"custom sections", []byte(header + strings.Repeat("\x00\x01\x00", 5*count)), "more than 1000 custom sections: leave them out"},
		{"some custom sections", []byte(header + strings.Repeat("\x00\x01\x00", 1000)), ""},
		{"exports", module(short, exports(count, "%x")), "1048576 exports, the limit is 100000: export nothing but tasks"},
		{"tasks of a long type", module(long, exports(100_000, "%x")), ""},
		{"exports that are no tasks", module(short, exports(100_000, "_%x")), ""},
		{"exports without a printable name", module(short, exports(100_000, "%x\x7f")), ""},
		{"exports of one name", module(short, section(3, 1, "\x00"), section(7, 100_000, strings.Repeat("\x04name\x00\x00", 100_000))), `export "name" appears twice`},
		{"types", []byte(header + section(1, 5*count, strings.Repeat(short, 5*count))), "5242880 types, the limit is 100000"},
		{"long types", []byte(header + section(1, 10_000, strings.Repeat(long, 10_000))), ""},
		{"a very long type", module("\x60" + uvarint(count) + strings.Repeat("\x7f", count) + "\x00"), "1048576 parameters of a function, the limit is 1000"},
		{"many results", module("\x60\x00" + uvarint(count) + strings.Repeat("\x7f", count)), "1048576 results of a function, the limit is 1000"},
		{"imports", []byte(header + section(1, 1, short) + section(2, 10*10_000, strings.Repeat(imports, 10))), "100000 imports, the limit is 10000"},
		{"imports of a long type", module(long, section(2, 10_000, imports)), ""},
		{"functions", module(short, section(3, 16*count, strings.Repeat("\x00", 16*count))), "16777216 functions, the limit is 1000000"},
		{"memories", []byte(header + section(5, 8*count, strings.Repeat("\x00\x00", 8*count))), "8388608 memories, the limit is 100"},
		{"a long name", module(short, exports(1, strings.Repeat("x", 16*count)+"%x")), "a name has 16777217 bytes, the limit is 100000"},
		{"names of no UTF-8", module(short, exports(100_000, "%x\xff")), "a name is not UTF-8"},
		{"docs of nothing", docs("[{}" + strings.Repeat(",{}", 4*count) + "]"), ""},
		{"docs of less", docs("[{}" + strings.Repeat(",{}", mostDocs/4) + "]"), ""},
		{"docs of a million lines", docs(`[{"name":"task0","doc":"` + strings.Repeat(`x\n`, count) + `"}]`), ""},
		{"docs of one task", docs(`[{}` + strings.Repeat(`,{"name":"task0","doc":"x"}`, mostDocs/32) + `]`), ""},
		{"deep docs", docs(strings.Repeat("[", mostDocs)), ""},
		{"too large", make([]byte, wasmbin.MaxSize+1), "the limit is 268435456: leave debug information out"},
	}
}

func uvarint(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

// section is one that holds n entries.
func section(id byte, n int, content string) string {
	content = uvarint(n) + content
	return string(id) + uvarint(len(content)) + content
}

// allocated returns how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// To read a module takes a small multiple of its size, and to list what it has no more
// than its bounds allow.
func TestBombs(t *testing.T) {
	if unittest.Race {
		return // it has no second goroutine, and would take eight times the memory
	}
	for _, b := range bombs() {
		var m *Module
		var err error
		got := allocated(func() { m, err = Load("bomb", b.wasm) })
		if most := 8*len(b.wasm) + 1<<20; got > most {
			t.Errorf("%s: loading %d bytes allocates %d, want at most %d", b.name, len(b.wasm), got, most)
		}
		if b.want != "" {
			if err == nil || !strings.Contains(err.Error(), b.want) || len(err.Error()) > 500 {
				t.Errorf("%s: error %.500v, want %s", b.name, err, b.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		got = allocated(func() {
			var table Table
			err = table.Add(m)
			for range 100 {
				table.Lookup("bomb.0") //nolint:errcheck // most have no such task
			}
			m.Describe()
		})
		if most := 32<<20 + 8*len(b.wasm); err != nil || got > most {
			t.Errorf("%s: describing %d bytes allocates %d, want at most %d; %v", b.name, len(b.wasm), got, most, err)
		}
	}
}

// A module that is too large is not read.
func TestLoadFileSize(t *testing.T) {
	if unittest.Race {
		return // as above
	}
	large := filepath.Join(t.TempDir(), "large.wasm")
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1 << 40); err != nil {
		t.Skip(err)
	}
	defer f.Close()
	for name, load := range map[string]func() error{
		"file":        func() error { _, err := LoadFile(large); return err },
		"file system": func() error { _, err := LoadFS(os.DirFS(filepath.Dir(large)), "large.wasm"); return err },
		"device":      func() error { _, err := LoadFile("/dev/zero"); return err },
		"in a program": func() error {
			_, err := LoadFS(fstest.MapFS{"a.wasm": {Data: make([]byte, wasmbin.MaxSize+1)}}, "a.wasm")
			return err
		},
	} {
		var err error
		got := allocated(func() { err = load() })
		if err == nil || !strings.Contains(err.Error(), "the limit is 268435456") {
			t.Errorf("%s: error %v", name, err)
		}
		if most := 1 << 20; name == "file" && got > most {
			t.Errorf("%s: %d bytes were allocated", name, got)
		}
	}
}

package bench

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestGuestIsAssembled checks that guest.wasm is what guest.wat says.
func TestGuestIsAssembled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	if out, err := exec.Command("wat2wasm", "guest.wat", "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (Debian's package wabt): %v\n%s", err, out)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(guestWASM, want) {
		t.Error("run wat2wasm guest.wat -o guest.wasm")
	}
}

// TestGuestsAgree checks that both guests do the same.
func TestGuestsAgree(t *testing.T) {
	t.Parallel()
	tiny, err := openGuest(t.Context(), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	inGo, err := openGuest(t.Context(), filepath.Join("..", "..", filepath.FromSlash(goGuest)))
	if err != nil {
		t.Fatal(err)
	}
	ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{tiny, inGo}, RootSlots: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Shutdown(t.Context()) //nolint:errcheck // the calls tell
	julia := func(y, width uint32) []byte {
		arg := binary.LittleEndian.AppendUint32(nil, y)
		arg = binary.LittleEndian.AppendUint32(arg, width)
		arg = binary.LittleEndian.AppendUint32(arg, 100)
		return binary.LittleEndian.AppendUint32(arg, 300)
	}
	for _, tc := range []struct {
		task string
		arg  []byte
	}{
		{"echo", nil},
		{"echo", []byte("hello")},
		{"echo", bytes.Repeat([]byte("0123456"), 1_000)},
		{"echo", bytes.Repeat([]byte("0123456"), 100_000)},
		{"burn", make([]byte, 8)},
		{"burn", []byte{200, 1, 0, 0, 0, 0, 0, 0}},
		{"julia", julia(0, 60)},
		{"julia", julia(37, 150)},
		{"julia", julia(50, 200_000)},
	} {
		got, err := ex.Call(t.Context(), tiny.Name()+"."+tc.task, tc.arg)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ex.Call(t.Context(), inGo.Name()+"."+tc.task, tc.arg)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s of %d bytes: %d bytes that differ from the %d of the guest in Go", tc.task, len(tc.arg), len(got), len(want))
		}
		if tc.task == "echo" && !bytes.Equal(got, tc.arg) {
			t.Errorf("echo of %d bytes returns others", len(tc.arg))
		}
	}
}

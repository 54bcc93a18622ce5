package executor

import (
	"crypto/sha256"
	"testing"
)

// A key depends on the task, on what is shared into the call, and on the argument.
func TestMemoKey(t *testing.T) {
	t.Parallel()
	one, two := &MemoTask{Digest: sha256.Sum256([]byte("1"))}, &MemoTask{Digest: sha256.Sum256([]byte("2"))}
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	seen := map[[sha256.Size]byte]int{}
	cases := []struct {
		task   *MemoTask
		shared [sha256.Size]byte
		arg    string
	}{
		{one, [sha256.Size]byte{}, "x"},
		{two, [sha256.Size]byte{}, "x"},
		{one, [sha256.Size]byte{}, ""},
		{one, a, "x"},
		{one, b, "x"},
		{two, b, "x"},
	}
	for i, tc := range cases {
		var key MemoKey
		key.set(tc.task, tc.shared[:], []byte(tc.arg))
		if other, ok := seen[key.Sum]; ok {
			t.Errorf("cases %d and %d have one key", other, i)
		}
		seen[key.Sum] = i
		if key.Arg != sha256.Sum256([]byte(tc.arg)) || key.Task != tc.task {
			t.Errorf("case %d: %+v", i, key)
		}
	}
}

package executor

import "testing"

// Who submits a call with the key of one that was cancelled gets one that runs, even
// while a worker still has the other.
func TestKeyOfCancelled(t *testing.T) {
	t.Parallel()
	ex := &Executor{}
	call := func() *Future { return &Future{ex: ex, options: &callOptions{key: "k"}} }
	first, second := call(), call()
	if got, err := ex.keys.join(first); got != first || err != nil {
		t.Fatal(got, err)
	}
	first.state.Store(uint32(recalled))
	if got, err := ex.keys.join(second); got != second || err != nil {
		t.Errorf("got %v, %v, want a new call", got, err)
	}
	first.finish(nil, nil, new(counts))
	if got, err := ex.keys.join(call()); got != second || err != nil {
		t.Errorf("after the end of the first: got %v, %v, want the second", got, err)
	}
}

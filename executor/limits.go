package executor

import "github.com/wasmpool/wasmpool/internal/wire"

// measured keeps what a run has used, which is known of calls with limits of their
// own.
func (f *Future) measured(u *wire.Usage) {
	if u == nil || f.options == nil {
		return
	}
	own := *f.options
	own.usage = Usage(*u)
	f.options = &own
}

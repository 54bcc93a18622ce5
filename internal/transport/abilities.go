package transport

// A Lender is the endpoint of a root that can let workers read its memory, so that a
// long argument needs no message. Its owner alone calls the methods.
type Lender interface {
	// Lend lets a worker copy data out of the root's memory with Borrow, when and
	// as often as it likes, and returns where the worker finds it; 0 means that this
	// worker cannot. The caller must leave data alone until it calls Reclaim with the
	// same id, which no other loan has until then.
	Lend(to int, id uint32, data []byte) (at uint64)

	// Reclaim ends a loan. An id that was not lent is left alone.
	Reclaim(id uint32)
}

// A Borrower is the endpoint of a worker that can read what a [Lender] lends.
type Borrower interface {
	// Borrow copies len(dst) bytes from an address that the root's Lend returned. It
	// blocks while it copies. Any goroutine may call it.
	Borrow(dst []byte, at uint64) error
}

// A Waker is an endpoint whose ranks take long to wake, as processes do. What it does
// and says are hints: nothing but time depends on them.
type Waker interface {
	// Rouse wakes a rank that dozes, when a frame for it is about to be sent: waking
	// takes longer than sending. It does nothing where the rank would take the CPU
	// from the sender. The endpoint's owner alone calls it.
	Rouse(to int)

	// Beside reports whether the rank was last seen on the CPU that this goroutine runs
	// on, so that one of the two runs only when the other waits. A rank is seen when it
	// dozes, and the root when it rings. Any goroutine may call it.
	Beside(rank int) bool
}

// A Voucher is an endpoint that gives signs of life.
type Voucher interface {
	// Vouch makes the signs depend on this rank's guests: before each, a goroutine of
	// the endpoint calls suspect, which says which call, if any, has not been heard of
	// since the time before; 0 is a call of an unknown number. Then the rank gives a
	// sign only if Go can still stop that guest. A rank without signs is lost to the
	// others, and its process ends. suspect must not block; nil ends it. Any goroutine
	// may call Vouch.
	Vouch(suspect func() (call uint64, found bool))
}

// A Wrapper passes everything on to the endpoint within. A type that adds something to
// an endpoint embeds it, so that [As] finds what the fabric beneath can do.
type Wrapper struct{ Endpoint }

// Unwrap returns the endpoint within.
func (w Wrapper) Unwrap() Endpoint { return w.Endpoint }

// As returns ep as a T, one of the interfaces above, or what it wraps as one. found is
// false, and the result nil, where neither ep nor what it wraps is a T.
func As[T any](ep Endpoint) (able T, found bool) {
	for ep != nil {
		if able, found = ep.(T); found {
			return able, true
		}
		w, wraps := ep.(interface{ Unwrap() Endpoint })
		if !wraps {
			break
		}
		ep = w.Unwrap()
	}
	return able, false
}

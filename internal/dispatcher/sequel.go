package dispatcher

// AddAfter takes in a call whose argument is the result of another, not a copy of it. The call counts as
// submitted at once, and waits until that other has succeeded, however much waits beside it; when the other
// fails, the call ends with the same error.
func (d *Dispatcher) AddAfter(first, next *Call) error {
	if err := d.in.promise(next); err != nil {
		return err
	}
	first.Tell(sequel{next})
	return nil
}

// A sequel is a call that waits for the result of another.
type sequel struct{ next *Call }

// Resolved implements Listener.
func (s sequel) Resolved(first *Call) {
	next := s.next
	d := next.owner.Dispatcher
	if first.err != nil {
		next.withdraw(always(first.err))
		d.in.release(next)
		return
	}
	if next.options == nil || next.options.Find == nil {
		s.begin(first.data, next.options)
		return
	}
	arg := first.data
	go func() { // it ends the call, which was promised, so that the loop waits for it
		result, found, options := next.options.Find(arg)
		if !found {
			s.begin(arg, options)
			return
		}
		if next.hold() {
			next.Find(result)
		}
		d.in.release(next)
	}()
}

// begin hands the call in, with its argument.
func (s sequel) begin(arg []byte, options *Options) {
	next := s.next
	d := next.owner.Dispatcher
	if !next.hold() {
		d.in.release(next)
		return // cancelled
	}
	if err := d.in.keep(next, arg, options); err != nil {
		next.withdraw(always(err))
	}
	d.Wake()
}

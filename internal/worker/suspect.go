package worker

// suspect returns a call whose guest has given no sign since suspect was called last, the
// one that has been silent for longest: no tick came, and no call ended. Of several it
// returns 0. The guest may compute in code without ticks, against all that the rewriter
// does, and then keeps Go from stopping the world; or it waits, in an import, for its
// module, or for a CPU, which keeps nobody from anything. The caller can tell: see
// [transport.Voucher]. It does not block.
func (s *server) suspect() (call uint64, found bool) {
	longest := 0
	for _, r := range s.runners {
		signs := r.signs.Load() + r.slot.Ticks()
		if !r.busy.Load() || signs != r.seen {
			r.seen, r.silent = signs, 0
			continue
		}
		r.silent++
		switch {
		case r.silent > longest:
			longest, call = r.silent, r.running.Load()
		case r.silent == longest:
			call = 0
		}
	}
	return call, longest > 0
}

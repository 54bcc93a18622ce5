// Package worker is the engine of a worker, the mirror of the root's: it takes calls
// from frames, runs them in the slots of a [host.Host], and sends back what became of
// them.
//
// A worker has no loop of its own. Each slot is a goroutine, a runner, that takes a call
// from the backlog, runs it and puts the result into a frame. A runner without a call
// watches for frames itself, one at a time, so that a short call is received, run and
// answered by one goroutine. Of a block of short calls it takes several at once, a range. While every slot computes for long, the watchdog does it.
// See RATIONALE.md, "Why do a worker's slots do their own receiving?".
//
// Locks: io guards the transport and all that only frames change; the backlog and the shared inputs have their
// own, which are taken while io is held, never the other way; watching is held by the
// goroutine that watches for frames, and taken before both.
//
// # Reading the source
//
//   - serve.go: Serve, which starts and ends a worker, its Config, and the state of all
//     below
//   - watch.go: how frames are sent and received, and how a worker without work waits
//   - watchdog.go: the goroutine that watches while all slots compute
//   - frames.go: what each kind of frame from the root does
//   - modules.go: modules and tasks that the root announces: fetched, compiled, bound
//   - shared.go: shared inputs that the root announces: opened, or fetched in pieces
//   - backlog.go, queue.go: the calls that wait for a slot, the results that wait to be
//     sent
//   - blocks.go: calls of one task that arrived together, as the backlog keeps them: how many of them a runner takes
//     at once, its range, and what becomes of the others
//   - runner.go: a slot's goroutine: what happens to a call from the backlog to its
//     result, and how its time is taken
//   - range.go: the same for a range: several calls that a runner has taken at once
//   - failure.go: a failed call as the body of its result
//   - buffers.go: the numbers of payloads, and buffers for them
//   - arguments.go: long arguments, by the way of a buffer or straight into guest memory
//   - results.go: long results, likewise
//   - kill.go: calls that the root ends
//   - log.go: the lines that guests log, and how many of them
//   - status.go, suspect.go: what the root, and the transport, may ask about the slots
package worker

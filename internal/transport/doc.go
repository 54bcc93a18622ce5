// Package transport is the seam between wasmpool and what carries its frames.
//
// An [Endpoint] is one rank's connection to the others. There are two fabrics:
// mem (ranks are goroutines of one process) and mpi (ranks are processes). The
// conformance suite in transporttest runs on both.
//
// An ability that only some fabrics have has an interface of its own: [Lender], [Borrower],
// [Waker] and [Voucher]. The owner of an endpoint looks for them once, with [As], and
// keeps what it finds. A type that adds something to an endpoint embeds a [Wrapper].
//
// # Reading the source
//
//   - transport.go: Endpoint, what every fabric does; Handler, what receives from it
//   - abilities.go: what only some fabrics do (lending memory, waking), and Wrapper
//   - bell.go: Bell, which wakes the goroutine that owns an endpoint
//   - word_linux.go, word_other.go: a bell in memory that processes share
//   - spinner.go: Spinner, what a goroutine does after a poll that found nothing
//   - nap.go, nap_linux.go, nap_other.go: a sleep of microseconds
package transport

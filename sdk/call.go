package sdk

import "github.com/wasmpool/wasmpool/internal/abi"

// Call returns the number of the call that runs. It is unique in the pool,
// and stays the same when the call is run again, after its worker was lost. In
// another job, a resumed one too, the same work has another number: where results
// must be the same again, draw from [Rand].
func Call() uint64 { return uint64(meta(abi.MetaCall)) }

// Attempt returns 1 in the first run of a call. It is more when the call is
// run again, after its worker was lost.
func Attempt() int { return int(meta(abi.MetaAttempt)) }

// Rank returns the MPI rank of the worker that runs the call; 0 is the root.
func Rank() int { return int(meta(abi.MetaRank)) }

package sdk

import "math/rand/v2"

// Rand returns the call's random numbers: a generator that is seeded with the SHA-256
// of the argument, and nothing else. So a call draws the same numbers in each run, in
// each job, on each worker and under every isolation, with any version of the module,
// and in a [Trial]; also where real random numbers are granted. Calls with equal
// arguments draw equal numbers: put an index or a seed into the argument where they
// must differ.
//
//	x := sdk.Rand().NormFloat64()
//
// Within a call Rand returns the same generator each time, whose numbers go on. Its
// first use in a call costs about 1 µs and the hash of the argument, 1 ms for each MiB.
// A task that changes a long argument in place calls Rand before it does. While an
// instance starts, the argument is the initializer's. Outside a guest and a trial it is
// taken to be empty, and Rand starts anew each time.
func Rand() *rand.Rand { return random() }

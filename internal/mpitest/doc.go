// Package mpitest starts programs under mpirun for tests. A test that needs MPI
// fails without it, it never skips.
package mpitest

// InnerRun is set in the environment of tests that run again as the programs of
// ranks.
const InnerRun = "WASMPOOL_TEST_RANKS"

// Command compare runs wasmpool's benchmark side by side with the floor under
// it, raw MPI in C, and with mpi4py.futures, on this machine. The programs take
// turns in each round, so that a machine that changes its speed changes it for
// all, and ratios are taken within a round.
//
//	go run ./bench/compare [-cases submit,map] [-rounds 3] [-markdown]
//
// It needs Open MPI (mpicc, mpirun) and, for the peer, mpi4py: on Debian the
// packages libopenmpi-dev, openmpi-bin and python3-mpi4py. See
// docs/benchmarks.md.
//
// # Reading the source
//
//   - main.go: flags, and rounds in which all programs take turns
//   - comparisons.go: which figures are compared, and with what goal
//   - comparison.go: one of them: runs, ratios, verdict
//   - program.go: a program that is run, and what it prints
//   - tools.go: builds them
//   - report.go: the result, as text and Markdown
package main

// Command compare runs wasmpool's benchmark side by side with the floors under it, raw MPI and a
// pair of processes on futexes in C, and with pools of Python, on this machine: mpi4py.futures,
// the method of schwimmbad, and ProcessPoolExecutor. The programs take turns in each round, so
// that a machine that changes its speed changes it for all, and ratios are taken within a round.
//
//	go run ./bench/compare [-cases submit,map] [-rounds 5] [-markdown] [-results bench/results]
//
// It ends with a line on how fast the machine is, and a table of all goals with a verdict each.
// It needs Linux, Open MPI (mpicc, mpirun) and, for the peers, mpi4py: on Debian the packages
// libopenmpi-dev, openmpi-bin and python3-mpi4py. See docs/benchmarks.md.
//
// # Reading the source
//
//   - main.go: flags, and a run: all comparisons, what is printed and kept
//   - comparisons.go: which figures are compared, and with what goal
//   - comparison.go: one of them: rounds in which all programs take turns, ratios, verdict
//   - program.go: a program that is run, and what it prints
//   - tools.go: builds them
//   - machine.go: what machine it is, and how fast
//   - report.go: what came out, as text and Markdown
//   - results.go, commit.go: the files that keep it, by time and commit
//   - plot.go, svg.go: the picture of those over commits
package main

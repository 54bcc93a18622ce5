// Package launch starts a program on several ranks with the launcher that is
// there, and ends it well: it bounds the start, returns the root's exit code, and
// leaves nothing behind whatever dies. What it cannot remove as it was killed itself,
// the next one does.
//
// A launcher that lets a job survive a killed rank says little about how the job
// ended: Open MPI's mpirun then returns 0, late or never. So the root's exit code
// comes from a file, which a shell around each rank writes. The root itself says
// in another that the ranks have found each other, and which it is: see package jobdir.
//
// # Reading the source
//
//   - launch.go: Job and Run: what a caller asks for, and checks before anything starts
//   - launchers.go: which launcher is there, and its command line
//   - run.go: a job under way: its start, signals, its end, its exit code
//   - output.go: hands on what the ranks print, and sees when that cannot be written
//   - filter.go: the launcher's own noise, left out of its output
//   - signals_unix.go, signals_other.go: the signals that the root may want to have
//   - clean_linux.go, clean_other.go: ends the processes that are left on this host
//   - sweep_linux.go: removes what launches have left that were killed
package launch

// Package confine takes away from a worker rank what it does not need once MPI is up:
// the second wall behind the sandbox. A guest that broke out of the engine is native
// code in the rank's process; confined, it can read no file of the user, make
// none, start no program, open no socket, and reach no other process. See SECURITY.md
// for what is left to it.
//
// It is Landlock and seccomp on Linux, which take no privileges. Only builds with the
// tag mpi have it: others have no worker ranks. See RATIONALE.md, "What is the second
// wall made of?".
package confine

// Rules say what a confined process may still do with files.
type Rules struct {
	Read []string // files and folders, with all below them, that may be read
}

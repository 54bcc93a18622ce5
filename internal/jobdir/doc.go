// Package jobdir is the folder of a job that wasmpool launch has started: launch and the
// job's ranks tell each other by files in it how the job stands. The ranks find it in their
// environment. Where a rank is on another host the folder may not be there.
//
// A file gets its name when it is whole. These are the files, where R is a rank as the
// launcher counts:
//
//	file     written by               holds
//	started  the root                 [Start]: the ranks have found each other
//	stop     launch                   the number of the signal that is to end the job
//	shell.R  the shell around rank R  its process id
//	space.R  the same                 the job's name in Open MPI, or nothing
//	exit.R   the same                 the exit code of the program
//
// Of root and launch each writes its file, started or stop, before it reads the other's.
// So when a signal comes at the start, one of the two knows of the other.
//
// Beside these files launch keeps its lock in the folder, and Open MPI its sessions.
package jobdir

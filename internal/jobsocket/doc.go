// Package jobsocket lets users find their own running jobs on a host, and talk to them. The root of a job listens
// on a Unix socket in a folder that only its user may enter:
//
//	file         holds
//	NAME.sock    the socket
//	NAME.json    a [Note] about the job, when the root listens
//
// NAME is the root's process id, with a number behind it where that is taken. The folder is what WASMPOOL_JOBS names, else wasmpool in XDG_RUNTIME_DIR, or
// wasmpool-UID in the temporary folder, or else in /tmp: the first in which a socket can be made. Who lists the jobs looks in all of them, and
// removes what is left of a job that was killed. The last job to end removes the folder.
package jobsocket

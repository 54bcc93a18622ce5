// Package memory says how much memory this process may still have, and keeps the
// account of what it has promised.
//
// What bounds a process: the memory of its node, the control groups that it is in
// (versions 1 and 2), and the limits that `ulimit -v` and `ulimit -d` set. Where they
// cannot be told, as on systems other than Linux, nothing is taken for bounded.
package memory

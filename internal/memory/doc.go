// Package memory says how much memory this process may still have, and keeps the
// account of what it has promised.
//
// A process is bounded by the memory of its node, by the control groups that it is in
// (versions 1 and 2), and by the limits that `ulimit -v` and `ulimit -d` set. Where they
// cannot be told, as on systems other than Linux, nothing is taken for bounded.
//
// # Reading the source
//
//   - account.go: Account: what was promised, and what is left
//   - bounds.go, bounds_linux.go, bounds_other.go: what bounds this process
//   - cgroup.go: the bounds of control groups
//   - copy.go: Copy, which a race detector may look at
package memory

// Package blob holds immutable sequences of bytes, each known by its SHA-256, and keeps
// them on a node: what the calls of many workers read is fetched once and has one copy
// in the node's memory, that of the system's page cache.
//
// # Why files are read and not mapped
//
// A blob in the store is read with pread. A mapped file that somebody cuts short ends
// the process with SIGBUS, and while a page of it comes from a slow disk or over NFS,
// the thread waits in a page fault that Go knows nothing of: a garbage collection, and
// all other goroutines with it, wait for the disk. pread is a system call, which Go
// steps around, and says what is wrong. Both read the page cache, so the memory is
// the same. See RATIONALE.md, "Why are shared inputs read with pread?".
//
// # Reading the source
//
//   - blob.go: Blob, in memory or in a file, and how one is made of bytes and of a file
//   - identity_unix.go, identity_other.go: how a file is known to be as it was
//   - store.go: Store, the blobs of a node: found, checked, fetched, or kept in memory
//   - lock.go: one process fetches, the others wait, but not for one that stands still
//   - trim.go: the bound of the store, least recently used out
package blob

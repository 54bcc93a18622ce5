package sdk

import "unsafe"

//go:wasmimport wasmpool shared_len
//go:noescape
func hostSharedLen(name unsafe.Pointer, n uint32) int64

//go:wasmimport wasmpool shared_digest
//go:noescape
func hostSharedDigest(name unsafe.Pointer, n uint32, dst unsafe.Pointer) int32

//go:wasmimport wasmpool shared_read
//go:noescape
func hostSharedRead(name unsafe.Pointer, nameLen uint32, dst unsafe.Pointer, off uint64, n uint32) int32

func sharedLen(name string) int64 {
	return hostSharedLen(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)))
}

func sharedDigest(name string, d *[32]byte) {
	hostSharedDigest(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(d))
}

// sharedRead reads up to len(p) bytes at off, and returns how many there were.
func sharedRead(name string, p []byte, off int64) int {
	return int(hostSharedRead(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(unsafe.SliceData(p)), uint64(off), uint32(len(p))))
}

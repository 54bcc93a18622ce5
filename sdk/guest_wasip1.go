package sdk

import (
	"unsafe"

	"github.com/wasmpool/wasmpool/internal/abi"
)

//go:wasmimport wasmpool input_len
func inputLen() uint32

//go:wasmimport wasmpool input_read
//go:noescape
func inputRead(dst unsafe.Pointer, off, n uint32) uint32

//go:wasmimport wasmpool error_write
//go:noescape
func errorWrite(src unsafe.Pointer, n uint32)

//go:wasmimport wasmpool log
//go:noescape
func logWrite(level int32, src unsafe.Pointer, n uint32)

//go:wasmimport wasmpool call_meta
func callMeta(key uint32) int64

//go:wasmimport wasmpool door_open
//go:noescape
func doorOpen(door unsafe.Pointer, n uint32)

// door is the block that small calls travel through. See package abi.
var door struct {
	argLen uint32
	resPtr uint32
	resLen uint32
	_      uint32
	arg    [8<<10 - abi.DoorHeader]byte
}

// These fail to compile when door is not laid out as package abi says.
var (
	_ [unsafe.Offsetof(door.argLen)]byte = [abi.DoorArgLen]byte{}
	_ [unsafe.Offsetof(door.resPtr)]byte = [abi.DoorResPtr]byte{}
	_ [unsafe.Offsetof(door.resLen)]byte = [abi.DoorResLen]byte{}
	_ [unsafe.Offsetof(door.arg)]byte    = [abi.DoorHeader]byte{}
)

var (
	// kept holds the last result until the next call replaces it.
	kept []byte //nolint:unused // holding the result is its use

	// long holds the last argument that did not fit the door, to be reused.
	long []byte
)

func init() { doorOpen(unsafe.Pointer(&door), uint32(unsafe.Sizeof(door))) }

// input returns the call's argument. It is short, so that it is inlined.
func input() []byte {
	if n := door.argLen; n <= uint32(len(door.arg)) {
		return door.arg[:n:n]
	}
	return longInput()
}

// longInput fetches an argument that did not fit into the door.
func longInput() []byte {
	n := inputLen()
	if uint64(n) > uint64(cap(long)) {
		long = nil // let it go before the larger one is made
		long = make([]byte, n)
	}
	long = long[:n]
	inputRead(unsafe.Pointer(unsafe.SliceData(long)), 0, n)
	return long
}

// succeed hands the result over.
func succeed(result []byte) int32 {
	kept = result
	door.resPtr = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(result))))
	door.resLen = uint32(len(result))
	return abi.StatusOK
}

func writeError(msg string) {
	errorWrite(unsafe.Pointer(unsafe.StringData(msg)), uint32(len(msg)))
}

func writeLog(level int, msg string) {
	logWrite(int32(level), unsafe.Pointer(unsafe.StringData(msg)), uint32(len(msg)))
}

func meta(key uint32) int64 { return callMeta(key) }

//go:build unix

package host

import "syscall"

// openAtOnce makes opening a file wait for nothing, and no terminal the process's own.
const openAtOnce = syscall.O_NONBLOCK | syscall.O_NOCTTY

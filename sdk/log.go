package sdk

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// A Level says how important a log line is. The values are those of log/slog.
type Level int

// The levels of [LogAt].
const (
	LevelDebug Level = abi.LevelDebug
	LevelInfo  Level = abi.LevelInfo
	LevelWarn  Level = abi.LevelWarn
	LevelError Level = abi.LevelError
)

// Log writes a line at level info to the worker's log, which names the call.
// The line is formatted as by fmt.Sprintf. A module that does not log does not
// carry package fmt's printing.
func Log(format string, args ...any) { LogAt(LevelInfo, format, args...) }

// LogAt is [Log] at the given level.
func LogAt(level Level, format string, args ...any) {
	writeLog(int(level), fmt.Sprintf(format, args...))
}

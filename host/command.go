package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
)

// mostArgv is the longest argument that a command also gets as argv[1].
const mostArgv = 4 << 10

// runCommand runs a WASI command in an instance of its own, as a command ends
// with its call: argument to stdin, stdout to result.
func (s *Slot) runCommand(t *Task, c *Call) ([]byte, error) {
	arg, err := s.wholeArg(c, compile.MaxMemory)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(s, t.code, func(in *instance, cfg wazero.ModuleConfig) wazero.ModuleConfig {
		return cfg.WithArgs(argv(t.export, t.code.grants.Args, arg)...).WithStdin(input{in, bytes.NewReader(arg)}).WithStdout(resultWriter{in})
	})
	if err != nil {
		return nil, err
	}
	in.renew()
	in.beginRead(c, arg)
	_, err = in.mod.ExportedFunction(abi.Start).Call(in)
	if exit := (*sys.ExitError)(nil); err == nil || errors.As(err, &exit) && exit.ExitCode() == 0 {
		s.used = in.usage()
		if err := in.close(); err != nil {
			return nil, errorf(KindHost, "closing the instance: %w", err)
		}
		return s.out, nil
	}
	e := in.fail(err)
	if words := strings.TrimSpace(e.Stderr); e.Kind == KindExit && words != "" {
		e.Message = fmt.Sprintf("exit code %d: %s", e.Code, words)
	}
	return nil, e
}

// argv returns a command's arguments.
func argv(name string, granted []string, arg []byte) []string {
	args := append([]string{name}, granted...)
	if len(arg) == 0 || len(arg) > mostArgv || !utf8.Valid(arg) || bytes.IndexByte(arg, 0) >= 0 {
		return args
	}
	return append(args, string(arg))
}

// An input is read by a guest a piece at a time.
type input struct {
	in     *instance
	source io.Reader
}

// Read implements [io.Reader].
func (i input) Read(p []byte) (int, error) { return i.in.inPieces(p, i.source.Read) }

// A resultWriter makes what a guest writes its result.
type resultWriter struct{ in *instance }

var _ io.Writer = resultWriter{}

func (w resultWriter) Write(part []byte) (int, error) {
	w.in.write(part)
	return len(part), nil
}

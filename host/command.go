package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
)

const (
	// placeholder is what stands in a command's arguments for the argument of its call.
	placeholder = "{}"

	// mostArgv is how long an argument may be that takes the place of one.
	mostArgv = 128 << 10

	// mostArgvs is how many bytes it may take in all its places, and mostArgs how many arguments a command may have: a
	// module can bring both along.
	mostArgvs = 2 << 20
	mostArgs  = 1 << 16
)

// runCommand runs a WASI command in an instance of its own, as a command ends
// with its call: argument to stdin, or into its arguments, stdout to result.
func (s *Slot) runCommand(t *Task, c *Call) ([]byte, error) {
	arg, err := s.wholeArg(c, compile.MaxMemory)
	if err != nil {
		return nil, err
	}
	args, rest, err := t.code.grants.commandLine(t.export, arg)
	if err != nil {
		return nil, err
	}
	stdin, err := t.code.grants.Keep.stream(rest)
	if err != nil {
		return nil, err
	}
	in, err := newInstance(s, t.code, func(in *instance, cfg wazero.ModuleConfig) wazero.ModuleConfig {
		cfg = cfg.WithArgs(args...).WithStdin(input{in, &stdin})
		if t.code.grants.ResultFile != "" { // what it prints is no result
			return cfg
		}
		return cfg.WithStdout(resultWriter{in})
	})
	if err != nil {
		return nil, err
	}
	in.renew()
	in.beginRead(c, arg)
	_, err = in.mod.ExportedFunction(abi.Start).Call(in)
	return s.endedCommand(t, in, err)
}

// endedCommand closes the instance of a command that has ended, and returns the result of its call.
func (s *Slot) endedCommand(t *Task, in *instance, err error) ([]byte, error) {
	if exit := (*sys.ExitError)(nil); err == nil || errors.As(err, &exit) && exit.ExitCode() == 0 {
		s.used = in.usage()
		result, failed := s.commandResult(t, in)
		if err := in.close(); err != nil {
			return nil, errorf(KindHost, "closing the instance: %w", err)
		}
		return result, failed
	}
	e := in.fail(err)
	if words := strings.TrimSpace(e.Stderr); words != "" && (e.Kind == KindExit || e.Kind == KindMemory) {
		e.Message = strings.Replace(e.Message, exitMessage(e.Code), fmt.Sprintf("exit code %d: %s", e.Code, words), 1)
	}
	return nil, e
}

// commandLine returns a command's arguments and its standard input, which is the argument of the call,
// unless that takes the place of placeholders.
func (g *granted) commandLine(name string, arg []byte) (args []string, stdin []byte, err error) {
	args = append([]string{name}, g.Args...)
	places := g.places
	switch {
	case places == 0:
		return args, arg, nil
	case places > mostArgvs || len(arg)*places > mostArgvs:
		return nil, nil, errorf(KindBadInput, "the call's argument has %d bytes and takes the place of %s %d times, which is more than %d bytes", len(arg), placeholder, places, mostArgvs)
	case len(arg) > mostArgv:
		return nil, nil, errorf(KindBadInput, "the call's argument has %d bytes, one that takes the place of %s at most %d: leave %s out to have it as standard input", len(arg), placeholder, mostArgv, placeholder)
	case bytes.IndexByte(arg, 0) >= 0:
		return nil, nil, errorf(KindBadInput, "the call's argument has a zero byte, one that takes the place of %s cannot: leave %s out to have it as standard input", placeholder, placeholder)
	}
	for i := range g.Args {
		args[1+i] = strings.ReplaceAll(g.Args[i], placeholder, string(arg))
	}
	return args, nil, nil
}

// placeholders counts the places that the argument of a call takes in arguments.
func placeholders(args []string) (n int) {
	for _, arg := range args {
		n += strings.Count(arg, placeholder)
	}
	return n
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

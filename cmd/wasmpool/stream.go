package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// await returns what open does, or that ctx has ended: a pipe may wait for ever for who is at its
// other end.
func await[T any](ctx context.Context, open func() (T, error)) (T, error) {
	type opened struct {
		it  T
		err error
	}
	done := make(chan opened, 1)
	go func() { // it may never end, but with the process
		it, err := open()
		done <- opened{it, err}
	}()
	select {
	case o := <-done:
		return o.it, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// A stream writes to what may take nothing for ever, such as a pipe whose reader stands still. Once
// its context has ended it waits no longer for that.
type stream struct {
	ctx      context.Context //nolint:containedctx // of the map that writes
	to       io.Writer
	patience time.Duration // with a piece, then
}

const (
	streamPiece    = 64 << 10 // bytes: as much as a pipe holds
	streamPatience = 5 * time.Second
)

// newStream returns a writer to what is no regular file. A terminal stays what it is.
func newStream(ctx context.Context, to io.Writer) io.Writer {
	if isTerminal(to) {
		return to
	}
	return &stream{ctx, to, streamPatience}
}

var errUnread = errors.New("a signal came while its reader took nothing")

// Write writes piece by piece. After an error what it was given is still in use.
func (s *stream) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := s.write(b[written:min(len(b), written+streamPiece)])
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

func (s *stream) write(piece []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() { // it may never end, but with the process
		n, err := s.to.Write(piece)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-s.ctx.Done():
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-time.After(s.patience):
		return 0, errUnread
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// All that is written arrives, piece by piece, and once the context has ended a reader that takes
// nothing holds nobody up.
func TestStream(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &stream{ctx, w, 10 * time.Millisecond}
	text := bytes.Repeat([]byte("0123456789"), streamPiece/3)
	written := make(chan error, 1)
	go func() {
		n, err := s.Write(text)
		if n != len(text) {
			err = errors.Join(err, io.ErrShortWrite)
		}
		written <- err
	}()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%v, equal: %t", err, bytes.Equal(got, text))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	cancel()
	if n, err := s.Write(text); n != 0 || !errors.Is(err, errUnread) {
		t.Errorf("nobody reads: %d, %v", n, err)
	}
	r.Close()
}

// A pipe at whose other end is nobody holds nobody up once the context has ended.
func TestAwait(t *testing.T) {
	t.Parallel()
	if got, err := await(t.Context(), func() (int, error) { return 5, io.ErrShortWrite }); got != 5 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%d, %v", got, err)
	}
	over := make(chan struct{})
	defer close(over)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if _, err := await(ctx, func() (int, error) { <-over; return 0, nil }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v, want the context's cause", err)
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// moveTo measures what no transfer does without: the file's bytes go through a connection of this machine, are hashed and written to
// another file, for so many nodes at once. The files stay, as those of the shared inputs do: memory that was just free is faster.
func moveTo(ctx context.Context, nodes int, file, dir string) (time.Duration, error) {
	began := time.Now()
	errs := make([]error, nodes)
	var all sync.WaitGroup
	for i := range nodes {
		all.Go(func() { errs[i] = move(ctx, file, dir) })
	}
	all.Wait()
	return time.Since(began), errors.Join(errs...)
}

func move(ctx context.Context, file, dir string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // nothing is lost
	sent := make(chan error, 1)
	go func() { sent <- send(listener, file) }() // ends with the connection
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it was read to its end
	to, err := os.CreateTemp(dir, "moved")
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(io.MultiWriter(sha256.New(), to), conn, make([]byte, 4<<20))
	return errors.Join(err, to.Close(), <-sent)
}

func send(listener net.Listener, file string) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	from, err := os.Open(file)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	_, err = io.Copy(conn, from)
	return errors.Join(err, from.Close(), conn.Close())
}

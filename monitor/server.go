package monitor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Bounds of a server.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	answerTimeout = time.Minute // of an answer; events have one each
	idleTimeout   = time.Minute
	mostHeader    = 64 << 10
	mostConns     = 200
	byeTimeout    = time.Second // for answers that are under way when the server ends
)

// A Server shows a job to browsers.
type Server struct {
	server *http.Server
	url    string
	leave  context.CancelFunc // ends what listeners wait in
	stop   func() bool        // ends the watch of the context
	done   chan struct{}      // closed when nobody is accepted any more
}

// Serve answers requests at addr, a host and a port, for m, until ctx ends or Close. Without a host it listens on loopback only: who reaches
// the page reads what inputs, tasks and failures say. Without a port it takes a free one.
func Serve(ctx context.Context, addr string, m *Monitor) (*Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil && addr != "" {
		return nil, fmt.Errorf("monitor: where to listen: want HOST:PORT or :PORT: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(cmp.Or(host, "127.0.0.1"), cmp.Or(port, "0")))
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	m.mu.Lock()
	if host != "" {
		m.hosts = append(m.hosts, host)
	}
	m.mu.Unlock()
	s := newServer(m.Handler())
	s.url = urlOf(listener.Addr(), host) + "#token=" + m.token
	go func() {
		defer close(s.done)
		_ = s.server.Serve(bounded{listener, make(chan struct{}, mostConns)}) // until the listener is closed
	}()
	s.stop = context.AfterFunc(ctx, func() { _ = s.end() })
	return s, nil
}

// newServer returns a server that does not listen yet.
func newServer(h http.Handler) *Server {
	base, leave := context.WithCancel(context.Background())
	return &Server{leave: leave, done: make(chan struct{}), server: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: mostHeader,
		BaseContext: func(net.Listener) context.Context { return base },
	}}
}

// urlOf returns where a browser finds what listens at an address, that was asked for by a name.
func urlOf(addr net.Addr, host string) string {
	name, port, _ := net.SplitHostPort(addr.String()) // of TCP
	if ip := net.ParseIP(name); ip != nil && ip.IsUnspecified() {
		if self, err := os.Hostname(); err == nil {
			name = self
		}
	} else if host != "" {
		name = host
	}
	return "http://" + net.JoinHostPort(name, port) + "/"
}

// URL returns the link to the page, with the token: who has it can act.
func (s *Server) URL() string { return s.url }

// Close ends the server. Answers that are under way have a second; those who listen are let go at once.
func (s *Server) Close() error {
	s.stop()
	err := s.end()
	<-s.done
	return err
}

func (s *Server) end() error {
	s.leave()
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	return err
}

// bounded takes so many connections at once as its channel has room for.
type bounded struct {
	net.Listener
	room chan struct{}
}

// Accept waits for a connection that there is room for; others are closed.
func (b bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.room <- struct{}{}:
			return &boundedConn{Conn: c, room: b.room}, nil
		default:
			_ = c.Close() // nothing was said
		}
	}
}

// boundedConn makes room when it is closed.
type boundedConn struct {
	net.Conn
	room chan struct{}
	once sync.Once
}

// Close closes the connection.
func (c *boundedConn) Close() error {
	c.once.Do(func() { <-c.room })
	return c.Conn.Close()
}

//go:build mpi

package mpi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// A lifeline is the connections beside MPI, TCP between nodes: on the root one to
// each worker, on a worker one to the root. A goroutine reads each: a byte
// is the bell or a pulse, the end tells that the peer is gone.
type lifeline struct {
	bell     *transport.Bell
	listener net.Listener // on the root, while workers connect
	card     card
	size     int
	conns    []syscall.RawConn // by rank
	borrows  []bool            // by rank: on the root, whether it takes loans
	heard    []atomic.Int64    // by rank: when it last sent a byte, by nanotime; 0 when it is gone
	closers  []net.Conn
	readers  sync.WaitGroup
	closed   chan struct{} // by close
	bells    *bells        // where all ranks share a node: they are rung in place of the connections

	ended atomic.Bool // ends is not empty
	mu    sync.Mutex
	ends  []lineEnd
}

// A lineEnd tells of a peer that is gone.
type lineEnd struct {
	rank int
	err  error
}

// A card tells workers how to reach the root.
type card struct {
	Network string   `json:"network"`
	Addrs   []string `json:"addrs"`
	Secret  []byte   `json:"secret"`
	Size    int      `json:"size,omitempty"` // of the world, where the root sends bells
	PID     int      `json:"pid"`            // the root's
	Probe   uint64   `json:"probe"`          // where it keeps the secret, see loan.go
}

const (
	secretLen   = 16
	helloLen    = secretLen + 5 // the secret, the rank and whether it takes loans
	dialTimeout = 3 * time.Second
)

var errLineEnded = errors.New("mpi: its connection ended: the process died or was cut off")

// newLifeline returns one that has no connections yet.
func newLifeline(bell *transport.Bell, size, peers int) *lifeline {
	return &lifeline{
		bell: bell, size: size, closed: make(chan struct{}),
		conns: make([]syscall.RawConn, peers), heard: make([]atomic.Int64, peers), borrows: make([]bool, peers),
	}
}

// listen opens the root's side. The text goes to the workers.
func listen(size int, oneNode bool, bell *transport.Bell, lend func(*card)) (*lifeline, string, error) {
	l := newLifeline(bell, size, size)
	l.card.Secret = make([]byte, secretLen)
	rand.Read(l.card.Secret)
	l.card.Network = "tcp"
	at := ":0"
	switch {
	case oneNode && runtime.GOOS == "linux":
		// The name is an abstract one, there is no file.
		l.card.Network, at = "unix", "@wasmpool-"+rand.Text()
		l.card.Size = size
		var err error
		if l.bells, err = newBells(size); err != nil {
			return nil, "", err
		}
	case oneNode:
		at = "127.0.0.1:0"
	}
	var err error
	if l.listener, err = new(net.ListenConfig).Listen(context.Background(), l.card.Network, at); err != nil {
		return nil, "", fmt.Errorf("mpi: opening the lifeline: %w", err)
	}
	if l.card.Addrs, err = addresses(l.listener.Addr(), oneNode); err != nil {
		return nil, "", errors.Join(err, l.listener.Close())
	}
	lend(&l.card)
	text, err := json.Marshal(l.card)
	if err != nil {
		return nil, "", errors.Join(err, l.listener.Close())
	}
	return l, string(text), nil
}

// addresses lists where a listener can be reached.
func addresses(at net.Addr, oneNode bool) ([]string, error) {
	if oneNode {
		return []string{at.String()}, nil
	}
	port := at.(*net.TCPAddr).Port
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("mpi: opening the lifeline: %w", err)
	}
	const most = 8 // they must fit into the card
	var list []string
	for _, a := range all {
		ip, ok := a.(*net.IPNet)
		if ok && ip.IP.IsGlobalUnicast() && len(list) < most {
			list = append(list, (&net.TCPAddr{IP: ip.IP, Port: port}).String())
		}
	}
	if len(list) == 0 {
		return nil, errors.New("mpi: the root's node has no network address the other nodes could reach")
	}
	return list, nil
}

// accept waits for all workers.
func (l *lifeline) accept(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.stopListening)
	defer stop()
	defer l.stopListening()
	joined := make(chan error)
	var greeting sync.WaitGroup
	defer greeting.Wait()
	enough := make(chan struct{})
	defer close(enough)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return // stopListening was called, or the workers will be missed
			}
			greeting.Go(func() {
				select {
				case joined <- l.greet(conn):
				case <-enough:
				}
			})
		}
	}()
	for missing := l.size - 1; missing > 0; {
		select {
		case err := <-joined:
			if err == nil { // otherwise a stranger
				missing--
			}
		case <-ctx.Done():
			<-stopped
			return fmt.Errorf("mpi: %d of %d workers did not connect: %w", missing, l.size-1, context.Cause(ctx))
		}
	}
	l.stopListening()
	<-stopped
	if l.bells != nil {
		l.bell.Share(l.bells.word(0))
		return l.bells.close()
	}
	return nil
}

func (l *lifeline) stopListening() {
	_ = l.listener.Close() // closing it twice fails, which is fine
}

// greet checks who has connected.
func (l *lifeline) greet(conn net.Conn) error {
	var hello [helloLen]byte
	conn.SetReadDeadline(time.Now().Add(dialTimeout)) //nolint:errcheck // the read fails then
	if _, err := readFull(conn, hello[:]); err != nil {
		return errors.Join(err, conn.Close())
	}
	rank, borrows := int(binary.LittleEndian.Uint32(hello[secretLen:])), hello[helloLen-1] == 1
	if subtle.ConstantTimeCompare(hello[:secretLen], l.card.Secret) != 1 || rank < 1 || rank >= l.size {
		return errors.Join(errors.New("mpi: a stranger at the lifeline"), conn.Close())
	}
	conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the read fails then
	if l.bells != nil {
		if err := l.bells.send(conn); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	return l.add(rank, conn, borrows)
}

func readFull(conn net.Conn, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = conn.Read(b[n:])
		n += k
	}
	return n, err
}

// dial opens a worker's side.
func dial(ctx context.Context, text string, rank int, bell *transport.Bell, takesLoans func(*card) bool) (*lifeline, error) {
	l := newLifeline(bell, 1, 1)
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&l.card); err != nil {
		return nil, fmt.Errorf("mpi: the root's lifeline card %q: %w", text, err)
	}
	hello := binary.LittleEndian.AppendUint32(append([]byte(nil), l.card.Secret...), uint32(rank))
	hello = append(hello, 0)
	if takesLoans(&l.card) {
		hello[helloLen-1] = 1
	}
	var errs []error
	for _, addr := range l.card.Addrs {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, l.card.Network, addr)
		if err == nil {
			if err = l.greetRoot(conn, hello, rank); err != nil {
				err = errors.Join(err, conn.Close())
			}
		}
		if err == nil {
			return l, l.add(0, conn, false)
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("mpi: rank %d cannot reach the root's lifeline: %w", rank, errors.Join(errs...))
}

// greetRoot says who connects, and takes the bells where there are some.
func (l *lifeline) greetRoot(conn net.Conn, hello []byte, rank int) (err error) {
	if _, err = conn.Write(hello); err != nil || l.card.Size == 0 {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(dialTimeout)) //nolint:errcheck // the read fails then
	if l.bells, err = receiveBells(conn, l.card.Size); err != nil {
		return err
	}
	l.bell.Share(l.bells.word(rank))
	return conn.SetReadDeadline(time.Time{})
}

// add starts reading a connection.
func (l *lifeline) add(rank int, conn net.Conn, borrows bool) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[rank] != nil {
		return errors.Join(fmt.Errorf("mpi: rank %d connected twice", rank), conn.Close())
	}
	l.conns[rank], l.borrows[rank] = raw, borrows
	l.heard[rank].Store(nanotime())
	l.closers = append(l.closers, conn)
	l.readers.Go(func() { l.read(rank, conn) })
	return nil
}

// read takes in what a peer sends, until the connection ends.
func (l *lifeline) read(rank int, conn net.Conn) {
	var b [64]byte
	for {
		n, err := conn.Read(b[:])
		if err != nil {
			l.end(rank, errLineEnded)
			return
		}
		if heard := l.heard[rank].Load(); heard != 0 {
			l.heard[rank].CompareAndSwap(heard, nanotime())
		}
		if bytes.Contains(b[:n], ringByte) {
			l.bell.Ring()
		}
	}
}

// end notes that a peer is gone, and hangs up: should it come back, it will see
// that it is not awaited any more.
func (l *lifeline) end(rank int, err error) {
	select {
	case <-l.closed:
		return
	default:
	}
	l.hangUp(rank)
	l.mu.Lock()
	l.ends = append(l.ends, lineEnd{rank, err})
	l.mu.Unlock()
	l.ended.Store(true)
	l.bell.Ring()
}

// hangUp ends the connection to a peer. Its socket stays open: the pulse uses it.
func (l *lifeline) hangUp(rank int) {
	if rank >= len(l.conns) || l.conns[rank] == nil {
		return
	}
	l.heard[rank].Store(0)
	l.conns[rank].Control(func(fd uintptr) { //nolint:errcheck // it is closed
		syscall.Shutdown(int(fd), syscall.SHUT_RDWR) //nolint:errcheck // the peer did already
	})
}

// takeEnded returns the peers that are gone since it was called last.
func (l *lifeline) takeEnded() []lineEnd {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended.Store(false)
	list := l.ends
	l.ends = nil
	return list
}

var ringByte = []byte{1}

// ring wakes a peer. It never blocks: with a full socket the peer has rings to
// read already.
func (l *lifeline) ring(rank int) {
	if l.bells != nil {
		if rank > 0 {
			l.show(0)
		}
		transport.RingWord(l.bells.word(rank))
		return
	}
	conn := l.conns[rank]
	if conn == nil {
		return
	}
	conn.Write(func(fd uintptr) bool { //nolint:errcheck // the reader sees a dead connection
		syscall.Write(int(fd), ringByte) //nolint:errcheck // likewise
		return true
	})
}

// show shows the other ranks on which CPU this one runs.
func (l *lifeline) show(rank int) {
	if l.bells != nil {
		l.bells.place(rank).Store(thisCPU())
	}
}

// sees reports whether a rank was last seen on the CPU that the caller runs on.
func (l *lifeline) sees(rank int) bool {
	if l.bells == nil {
		return false
	}
	at := l.bells.place(rank).Load()
	return at != 0 && at == thisCPU()
}

// look tells the workers whether the root looks for what they send: then they need not
// ring. After look(false) it must look once more before it sleeps.
func (l *lifeline) look(looks bool) {
	if l.bells == nil {
		return
	}
	var v uint32
	if looks {
		v = 1
	}
	l.bells.looks().Swap(v) // not Store, after which the processor may look before it is seen
}

// rootLooks reports whether the root looks for what was just sent. There are bells.
func (l *lifeline) rootLooks() bool {
	return l.bells.looks().Add(0) == 1 // not Load, which the processor may do before it sends
}

// close ends the connections and waits for their readers.
func (l *lifeline) close() {
	close(l.closed)
	stopPulse()
	for _, c := range l.closers {
		c.Close() //nolint:errcheck // nobody can do anything about it
	}
	l.readers.Wait()
}

//go:build mpi

package mpi

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// A lifeline is the connections beside MPI, TCP between nodes: on the root one to
// each worker, on a worker one to the root. A goroutine reads each: a byte
// is the bell or a pulse, the end tells that the peer is gone.
type lifeline struct {
	bell      *transport.Bell
	listeners []net.Listener // on the root, while workers connect
	strangers strangers      // connections that have not proved yet that they are workers
	patience  time.Duration  // for each step of a handshake
	card      card
	size      int
	conns     []syscall.RawConn // by rank
	borrows   []bool            // by rank: on the root, whether it takes loans
	heard     []atomic.Int64    // by rank: when it last sent a byte, by monotime; 0 when it is gone
	closers   []net.Conn        // by rank
	readers   sync.WaitGroup
	closed    chan struct{} // closed by close
	bells     *bells        // where all ranks share a node: they are rung in place of the connections

	suspect atomic.Pointer[func() (call uint64, found bool)] // see goOn

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
	Size    int      `json:"size,omitempty"` // how many ranks there are, where the root sends bells
	PID     int      `json:"pid"`            // of the root's process
	Probe   uint64   `json:"probe"`          // where the root's process keeps the secret, see loan.go
}

const (
	secretLen   = 32
	dialTimeout = 3 * time.Second

	// greetTimeout bounds each step of a handshake.
	greetTimeout = 5 * time.Second

	// dialPatience is for how long a worker tries to reach the root.
	dialPatience = 20 * time.Second
)

var errLineEnded = errors.New("mpi: its connection ended: the process died or was cut off")

// newLifeline returns one that has no connections yet.
func newLifeline(bell *transport.Bell, size, peers int) *lifeline {
	return &lifeline{
		bell: bell, size: size, patience: greetTimeout, closed: make(chan struct{}),
		conns: make([]syscall.RawConn, peers), closers: make([]net.Conn, peers),
		heard: make([]atomic.Int64, peers), borrows: make([]bool, peers),
	}
}

// listen opens the root's side, on a node of its own for all ranks or at addrs. The
// text goes to the workers.
func listen(size int, addrs []netip.Addr, bell *transport.Bell, lend func(*card)) (*lifeline, string, error) {
	l := newLifeline(bell, size, size)
	l.card.Secret = make([]byte, secretLen)
	rand.Read(l.card.Secret)
	if err := l.open(addrs); err != nil {
		l.stopListening()
		return nil, "", fmt.Errorf("mpi: opening the lifeline: %w", err)
	}
	lend(&l.card)
	text, err := json.Marshal(l.card)
	if err != nil {
		l.stopListening()
		return nil, "", fmt.Errorf("mpi: the lifeline's card: %w", err)
	}
	return l, string(text), nil
}

// open begins to listen. Without addresses all ranks are on this node.
func (l *lifeline) open(addrs []netip.Addr) (err error) {
	if len(addrs) == 0 && runtime.GOOS == "linux" {
		l.card.Size = l.size
		if l.bells, err = newBells(l.size); err != nil {
			return err
		}
		// The name is an abstract one, there is no file.
		return l.listenAt("unix", "@wasmpool-"+rand.Text())
	}
	if len(addrs) == 0 {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	for _, a := range addrs {
		if err := l.listenAt("tcp", netip.AddrPortFrom(a, 0).String()); err != nil {
			return err
		}
	}
	return nil
}

func (l *lifeline) listenAt(network, address string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return err
	}
	l.listeners = append(l.listeners, listener)
	l.card.Network, l.card.Addrs = network, append(l.card.Addrs, listener.Addr().String())
	return nil
}

// accept waits for all workers.
func (l *lifeline) accept(ctx context.Context) error {
	l.strangers.most = l.size + spareStrangers // a worker that connects together with all others is no stranger, as a rule
	joined := make(chan struct{}, 1)
	stop := make(chan struct{})
	var greeting sync.WaitGroup
	for _, listener := range l.listeners {
		greeting.Go(func() { l.welcome(listener, joined, stop) })
	}
	var err error
	for missing := l.missing(); missing > 0 && err == nil; missing = l.missing() {
		select {
		case <-joined:
		case <-ctx.Done():
			err = fmt.Errorf("mpi: %d of %d workers did not connect: %w", missing, l.size-1, context.Cause(ctx))
		}
	}
	close(stop)
	l.stopListening()
	l.strangers.dismissAll()
	greeting.Wait()
	if err != nil {
		return err
	}
	for rank := 1; rank < l.size; rank++ {
		l.begin(rank)
	}
	if l.bells != nil {
		l.bell.Share(l.bells.word(0))
		return l.bells.close()
	}
	return nil
}

// missing counts the workers that have not connected.
func (l *lifeline) missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, conn := range l.conns[1:] {
		if conn == nil {
			n++
		}
	}
	return n
}

func (l *lifeline) stopListening() {
	for _, listener := range l.listeners {
		_ = listener.Close() // closing it twice fails, which is fine
	}
}

// dial opens a worker's side.
func dial(ctx context.Context, text string, rank int, bell *transport.Bell, takesLoans func(*card) bool) (*lifeline, error) {
	l := newLifeline(bell, 1, 1)
	if err := json.Unmarshal([]byte(text), &l.card); err != nil {
		return nil, fmt.Errorf("mpi: the root's lifeline card: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, err := l.reach(ctx, rank, takesLoans(&l.card))
	if err != nil {
		return nil, fmt.Errorf("mpi: rank %d cannot reach the root's lifeline (%s on the root says which network is taken): %w", rank, interfacesVar, err)
	}
	if l.bells != nil {
		l.bell.Share(l.bells.word(rank))
	}
	if err := l.add(0, conn, false); err != nil {
		return nil, err
	}
	l.begin(0)
	return l, nil
}

// reach tries the root's addresses, again and again: strangers who are in the way are
// a matter of luck.
func (l *lifeline) reach(ctx context.Context, rank int, borrows bool) (net.Conn, error) {
	const longest = time.Second
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, longest) {
		var errs []error
		for _, addr := range l.card.Addrs {
			conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, l.card.Network, addr)
			if err == nil {
				if err = l.greetRoot(conn, rank, borrows); err == nil {
					return conn, nil
				}
				err = fmt.Errorf("%s: %w", addr, errors.Join(err, conn.Close()))
			}
			errs = append(errs, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, errors.Join(errs...)
		}
	}
}

// add takes in a connection. A worker that connects again has given up its first one,
// as the answer came too late.
func (l *lifeline) add(rank int, conn net.Conn, borrows bool) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.closers[rank]; old != nil {
		old.Close() //nolint:errcheck // it was given up
	}
	l.conns[rank], l.closers[rank], l.borrows[rank] = raw, conn, borrows
	return nil
}

// begin starts to read a connection.
func (l *lifeline) begin(rank int) {
	l.heard[rank].Store(monotime.Now())
	l.readers.Go(func() { l.read(rank, l.closers[rank]) })
}

// read takes in what a peer sends, until the connection ends.
func (l *lifeline) read(rank int, conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64)
	for {
		c, err := r.ReadByte()
		if err != nil {
			l.end(rank, errLineEnded)
			return
		}
		if heard := l.heard[rank].Load(); heard != 0 {
			l.heard[rank].CompareAndSwap(heard, monotime.Now())
		}
		switch c {
		case ringByte[0]:
			l.bell.Ring()
		case stillByte:
			var call [8]byte
			if _, err := io.ReadFull(r, call[:]); err == nil {
				l.end(rank, &transport.StandstillError{Call: binary.LittleEndian.Uint64(call[:])})
				return
			}
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
		if c != nil {
			c.Close() //nolint:errcheck // nobody can do anything about it
		}
	}
	l.readers.Wait()
}

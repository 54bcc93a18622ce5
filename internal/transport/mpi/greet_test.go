//go:build mpi && linux

package mpi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// loopback has the lifeline use TCP, as between nodes.
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}

// A rootSide is a root that waits for its workers.
type rootSide struct {
	*lifeline
	text     string     // its card
	accepted chan error // what accept returns
}

// newRoot starts one. patience bounds each step of a handshake.
func newRoot(t testing.TB, size int, addrs []netip.Addr, patience time.Duration) *rootSide {
	t.Helper()
	l, text, err := listen(size, addrs, transport.NewBell(), func(*card) {})
	if err != nil {
		t.Fatal(err)
	}
	l.patience = patience
	r := &rootSide{l, text, make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.accepted <- l.accept(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		l.close()
	})
	return r
}

// stranger connects to the root, or to what listens at another address.
func (r *rootSide) stranger(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial(r.card.Network, r.card.Addrs[0])
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(30 * time.Second))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// join has a worker join by that card.
func join(t testing.TB, text string, rank int) *lifeline {
	t.Helper()
	w, err := dial(t.Context(), text, rank, transport.NewBell(), func(*card) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// at returns a card that names other addresses.
func at(t testing.TB, text string, addrs ...string) string {
	t.Helper()
	var c card
	err := json.Unmarshal([]byte(text), &c)
	c.Addrs = addrs
	changed, marshalErr := json.Marshal(c)
	if err = errors.Join(err, marshalErr); err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

// hearOut returns all that the other side says until it hangs up.
func hearOut(t testing.TB, conn net.Conn) []byte {
	t.Helper()
	said, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other side does not hang up: %v", err)
	}
	return said
}

func (s *strangers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// A recorder stands between worker and root, and keeps what each says.
type recorder struct {
	addr         string
	mu           sync.Mutex
	worker, root []byte
}

// record starts one, which may change the first bytes of each worker.
func record(t testing.TB, r *rootSide, change func([]byte)) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	rec := &recorder{addr: listener.Addr().String()}
	go func() {
		for {
			worker, err := listener.Accept()
			if err != nil {
				return
			}
			root, err := net.Dial(r.card.Network, r.card.Addrs[0])
			if err != nil {
				worker.Close()
				return
			}
			go rec.pass(root, worker, &rec.worker, change)
			go rec.pass(worker, root, &rec.root, nil)
		}
	}()
	return rec
}

func (rec *recorder) pass(to, from net.Conn, kept *[]byte, change func([]byte)) {
	defer to.Close()
	b := make([]byte, 4096)
	for first := true; ; first = false {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		rec.mu.Lock()
		*kept = append(*kept, b[:n]...)
		rec.mu.Unlock()
		if first && change != nil {
			change(b[:n])
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (rec *recorder) heard() (worker, root []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return bytes.Clone(rec.worker), bytes.Clone(rec.root)
}

// TestStrangers has all kinds of strangers at the root: it hangs up, tells none that it
// belongs, and goes on waiting for its workers, which then come.
func TestStrangers(t *testing.T) {
	t.Parallel()
	const answerLen = nonceLen + proofLen
	for name, addrs := range map[string][]netip.Addr{"tcp": loopback, "unix": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoot(t, 3, addrs, 4*time.Second)
			var recorded []byte
			if addrs != nil { // a worker whose words are known is there already
				rec := record(t, r, nil)
				join(t, at(t, r.text, rec.addr), 1)
				recorded, _ = rec.heard()
				unittest.Until(t, "the root to take in the worker", func() bool { return r.missing() == 1 })
			}
			missing := r.missing()
			newHello := func() []byte {
				hello := make([]byte, helloLen)
				rand.Read(hello[:nonceLen])
				hello[nonceLen] = 1
				return hello
			}
			answer := func(t *testing.T, conn net.Conn, hello []byte) []byte {
				t.Helper()
				b := make([]byte, answerLen)
				if _, err := conn.Write(hello); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(conn, b); err != nil {
					t.Error(err)
				}
				return b
			}
			var playing sync.WaitGroup
			for _, tt := range []struct {
				name string
				play func(t *testing.T, conn net.Conn, hello []byte)
				says int // bytes that the root says
			}{
				{"says nothing", func(*testing.T, net.Conn, []byte) {}, 0},
				{"says too little", func(_ *testing.T, conn net.Conn, hello []byte) {
					conn.Write(hello[:helloLen-1]) //nolint:errcheck // the root may have hung up
				}, 0},
				{"garbage", func(_ *testing.T, conn net.Conn, _ []byte) {
					conn.Write(bytes.Repeat([]byte{0xff}, 1<<16)) //nolint:errcheck // likewise
				}, 0},
				{"a rank that there is not", func(_ *testing.T, conn net.Conn, hello []byte) {
					hello[nonceLen] = 3
					conn.Write(hello) //nolint:errcheck // likewise
				}, 0},
				{"no proof", func(t *testing.T, conn net.Conn, hello []byte) { answer(t, conn, hello) }, 0},
				{"a proof with another secret", func(t *testing.T, conn net.Conn, hello []byte) {
					conn.Write(proof(make([]byte, secretLen), roleWorker, hello, answer(t, conn, hello)[:nonceLen])) //nolint:errcheck // likewise
				}, 0},
				{"the root's proof, reflected", func(t *testing.T, conn net.Conn, hello []byte) {
					conn.Write(answer(t, conn, hello)[nonceLen:]) //nolint:errcheck // likewise
				}, 0},
				{"the proof of another connection, reflected", func(t *testing.T, conn net.Conn, hello []byte) {
					second := bytes.Clone(hello)
					copy(second[:nonceLen], answer(t, conn, hello))         // the root's nonce here is the worker's there
					conn.Write(answer(t, r.stranger(t), second)[nonceLen:]) //nolint:errcheck // likewise
				}, 0},
				{"what a worker once said", func(_ *testing.T, conn net.Conn, _ []byte) {
					conn.Write(recorded) //nolint:errcheck // likewise
				}, min(len(recorded), 1) * answerLen},
			} {
				conn := r.stranger(t)
				playing.Go(func() {
					tt.play(t, conn, newHello())
					if said := hearOut(t, conn); len(said) != tt.says || bytes.Contains(said, r.card.Secret) {
						t.Errorf("%s: the root says %x, want %d bytes", tt.name, said, tt.says)
					}
				})
			}
			playing.Wait()
			if got := r.missing(); got != missing {
				t.Fatalf("%d workers are missing after the strangers, %d were before", got, missing)
			}
			for rank := 3 - missing; rank < 3; rank++ {
				join(t, r.text, rank)
			}
			if err := <-r.accepted; err != nil {
				t.Error(err)
			}
		})
	}
}

// greetAt has a worker of rank 2 connect to what listens there.
func greetAt(t testing.TB, r *rootSide, addr string) error {
	t.Helper()
	l := newLifeline(transport.NewBell(), 1, 1)
	conn, err := net.Dial("tcp", addr)
	if err = errors.Join(err, json.Unmarshal([]byte(r.text), &l.card)); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return l.greetRoot(conn, 2, false)
}

// TestFakeRoots has a worker find others before the root: none learns anything from it, it
// believes none, and it finds the root.
func TestFakeRoots(t *testing.T) {
	t.Parallel()
	r := newRoot(t, 3, loopback, 10*time.Second)
	rec := record(t, r, nil)
	join(t, at(t, r.text, rec.addr), 1)
	_, recorded := rec.heard()
	for _, tt := range []struct {
		name string
		says func(hello []byte) []byte
	}{
		{"garbage", func([]byte) []byte { return make([]byte, 1<<10) }},
		{"the hello, reflected", func(hello []byte) []byte { return append(bytes.Clone(hello), hello...) }},
		{"what the root once said", func([]byte) []byte { return recorded }},
		{"a proof with another secret", func(hello []byte) []byte {
			nonce := make([]byte, nonceLen)
			return append(nonce, proof(make([]byte, secretLen), roleRoot, hello, nonce)...)
		}},
		{"that it belongs", func([]byte) []byte { return []byte{0} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer fake.Close()
			heard := make(chan []byte, 1)
			go func() {
				conn, err := fake.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				hello := make([]byte, helloLen)
				io.ReadFull(conn, hello)                               //nolint:errcheck // what was heard shows it
				conn.Write(tt.says(hello))                             //nolint:errcheck // likewise
				conn.(*net.TCPConn).CloseWrite()                       //nolint:errcheck // likewise
				conn.SetReadDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // likewise
				more, _ := io.ReadAll(conn)
				heard <- append(hello, more...)
			}()
			if err := greetAt(t, r, fake.Addr().String()); err == nil {
				t.Error("the worker believes it")
			}
			said := <-heard
			if bytes.Contains(said, r.card.Secret) || len(said) != helloLen {
				t.Errorf("the worker told it more than its hello: %x", said)
			}
		})
	}
	t.Run("a rank that was changed on the way", func(t *testing.T) {
		rec := record(t, r, func(hello []byte) { hello[nonceLen] = 1 })
		if err := greetAt(t, r, rec.addr); err == nil || !strings.Contains(err.Error(), "what listens there is not the root") {
			t.Errorf("the worker says %v", err)
		}
	})
	fake, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := fake.Accept()
			if err != nil {
				return
			}
			conn.Write(make([]byte, nonceLen+proofLen)) //nolint:errcheck // the worker may have hung up
			conn.Close()
		}
	}()
	defer fake.Close()
	join(t, at(t, r.text, fake.Addr().String(), r.card.Addrs[0]), 2)
	if err := <-r.accepted; err != nil {
		t.Error(err)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestFlood opens 10,000 connections that say nothing, and more until the workers have
// joined meanwhile: a thousand at a time, more than the root holds.
func TestFlood(t *testing.T) {
	t.Parallel()
	const total, open, flooders, workers = 10_000, 1_000, 4, 3
	r := newRoot(t, workers+1, loopback, time.Minute) // nobody goes for being slow
	var made atomic.Int64
	var flood sync.WaitGroup
	half, joined := make(chan struct{}), make(chan struct{})
	for range flooders {
		flood.Go(func() {
			var ring [open / flooders]net.Conn
			for i := 0; ; i++ {
				if n := made.Add(1); n == total/2 {
					close(half)
				} else if n > total && isClosed(joined) {
					break
				}
				at := &ring[i%len(ring)]
				if *at != nil {
					(*at).Close()
				}
				conn, err := net.Dial(r.card.Network, r.card.Addrs[0])
				*at = conn
				if err != nil {
					*at = nil
				}
			}
			for _, conn := range ring {
				if conn != nil {
					conn.Close()
				}
			}
		})
	}
	<-half
	unittest.Until(t, "the root to hold as many strangers as it may", func() bool {
		if held := r.strangers.count(); held > r.strangers.most {
			t.Fatalf("the root holds %d strangers, the bound is %d", held, r.strangers.most)
		}
		return r.strangers.count() == r.strangers.most
	})
	var joining sync.WaitGroup
	for rank := 1; rank <= workers; rank++ {
		joining.Go(func() {
			w, err := dial(t.Context(), r.text, rank, transport.NewBell(), func(*card) bool { return false })
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(w.close)
		})
	}
	joining.Wait()
	if err := <-r.accepted; err != nil {
		t.Error(err)
	}
	t.Logf("the workers were there after %d connections", made.Load())
	close(joined)
	flood.Wait()
}

// fewFilesVar tells the test program to be the one that runs out of files.
const fewFilesVar = "WASMPOOL_TEST_FEW_FILES"

// TestTooFewFiles has the root run out of files while a worker connects: it takes the
// worker in when there are files again, and does not turn in circles until then.
func TestTooFewFiles(t *testing.T) {
	if os.Getenv(fewFilesVar) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTooFewFiles$", "-test.v", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), fewFilesVar+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("both workers joined")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r := newRoot(t, 3, loopback, 20*time.Second)
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	limit.Cur = 64
	if err = errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)); err != nil {
		t.Fatal(err)
	}
	joined := make(chan error, 1)
	joins := func(rank int) {
		w, err := dial(t.Context(), r.text, rank, transport.NewBell(), func(*card) bool { return false })
		if err == nil {
			t.Cleanup(w.close)
		}
		joined <- err
	}
	free := fillFiles(t) // but one, which the worker takes
	go joins(1)
	before := unittest.CPUTime(t)
	select {
	case err := <-joined:
		t.Errorf("a worker joined without a file: %v", err)
	case <-time.After(time.Second):
	}
	if used := unittest.CPUTime(t) - before; used > 300*time.Millisecond {
		t.Errorf("a second without files took %v of CPU", used)
	}
	free()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	idle := r.stranger(t) // it holds a file of the root
	unittest.Until(t, "the root to see the stranger", func() bool { return r.strangers.count() == 1 })
	defer fillFiles(t)()
	go joins(2)
	if err := errors.Join(<-joined, <-r.accepted); err != nil {
		t.Fatal(err)
	}
	hearOut(t, idle)
	t.Log("both workers joined")
}

// fillFiles opens all files but one that this process may have. The function that it
// returns closes them.
func fillFiles(t *testing.T) func() {
	t.Helper()
	var fill []int
	for {
		fd, err := syscall.Dup(0)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fill = append(fill, fd)
	}
	syscall.Close(fill[0])
	return func() {
		for _, fd := range fill[1:] {
			syscall.Close(fd)
		}
	}
}

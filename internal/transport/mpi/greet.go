//go:build mpi

package mpi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"time"
)

// Each side of a new connection proves to the other that it knows the job's secret,
// which came over MPI, and says nothing from which the secret could be found:
//
//	worker   its nonce, its rank, whether it takes loans      (the hello)
//	root     its nonce, the root's proof
//	worker   the worker's proof
//	root     a byte, with the bells where there are some
//
// A proof is an HMAC of the hello and of the root's nonce, with the role of who proves.
// So one that was recorded fits no other connection, and that of one side is none of
// the other. The root proves first: a worker proves nothing to what only listens.
//
// That is all. What follows on the connection, bells and pulses, is neither secret nor
// signed: see doc.go.
const (
	nonceLen = 32
	proofLen = sha256.Size
	helloLen = nonceLen + 5 // the nonce, the rank and whether it takes loans
)

// A role is what a proof says about its maker: the root or a worker.
type role string

const (
	roleRoot   role = "wasmpool lifeline 1, root"
	roleWorker role = "wasmpool lifeline 1, worker"
)

// proof returns bytes that prove, for one handshake, that their sender knows the secret.
func proof(secret []byte, r role, hello, nonce []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(r)) // neither role begins with the other, and what follows has one length
	mac.Write(hello)
	mac.Write(nonce)
	return mac.Sum(nil)
}

var errStranger = errors.New("mpi: a stranger at the lifeline")

// greet finds out which rank has connected to the root.
func (l *lifeline) greet(conn net.Conn) (rank int, borrows bool, err error) {
	var hello [helloLen]byte
	if err := l.receive(conn, hello[:]); err != nil {
		return 0, false, err
	}
	rank, borrows = int(binary.LittleEndian.Uint32(hello[nonceLen:])), hello[helloLen-1] == 1
	if rank < 1 || rank >= l.size {
		return 0, false, fmt.Errorf("%w: it says that it is rank %d of %d", errStranger, rank, l.size)
	}
	var nonce [nonceLen]byte
	rand.Read(nonce[:])
	if _, err := conn.Write(append(nonce[:nonceLen:nonceLen], proof(l.card.Secret, roleRoot, hello[:], nonce[:])...)); err != nil {
		return 0, false, err
	}
	var got [proofLen]byte
	if err := l.receive(conn, got[:]); err != nil {
		return 0, false, err
	}
	if !hmac.Equal(got[:], proof(l.card.Secret, roleWorker, hello[:], nonce[:])) {
		return 0, false, fmt.Errorf("%w: it says that it is rank %d, and cannot prove it", errStranger, rank)
	}
	return rank, borrows, nil
}

// greetRoot is a worker's side of greet.
func (l *lifeline) greetRoot(conn net.Conn, rank int, borrows bool) error {
	var hello [helloLen]byte
	rand.Read(hello[:nonceLen])
	binary.LittleEndian.PutUint32(hello[nonceLen:], uint32(rank))
	if borrows {
		hello[helloLen-1] = 1
	}
	if _, err := conn.Write(hello[:]); err != nil {
		return err
	}
	var got [nonceLen + proofLen]byte
	if err := l.receive(conn, got[:]); err != nil {
		return err
	}
	nonce := got[:nonceLen]
	if !hmac.Equal(got[nonceLen:], proof(l.card.Secret, roleRoot, hello[:], nonce)) {
		return errors.New("what listens there is not the root: it cannot prove that it knows the job's secret")
	}
	if _, err := conn.Write(proof(l.card.Secret, roleWorker, hello[:], nonce)); err != nil {
		return err
	}
	return l.receiveWelcome(conn)
}

// receive reads just so many bytes, in the time that a step may take.
func (l *lifeline) receive(conn net.Conn, b []byte) error {
	if err := conn.SetDeadline(time.Now().Add(l.patience)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, b)
	return err
}

// sendWelcome tells a worker that it belongs, and where the bells are.
func (l *lifeline) sendWelcome(conn net.Conn) (err error) {
	if l.bells != nil {
		err = l.bells.send(conn)
	} else {
		_, err = conn.Write([]byte{0})
	}
	return errors.Join(err, conn.SetDeadline(time.Time{}))
}

// receiveWelcome waits until the root has taken this worker in.
func (l *lifeline) receiveWelcome(conn net.Conn) (err error) {
	if l.card.Size == 0 {
		err = l.receive(conn, make([]byte, 1))
	} else if err = conn.SetDeadline(time.Now().Add(l.patience)); err == nil {
		l.bells, err = receiveBells(conn, l.card.Size)
	}
	return errors.Join(err, conn.SetDeadline(time.Time{}))
}

// welcome greets those who connect to a listener, until it is closed. What keeps it
// from accepting, too few files above all, is waited out.
func (l *lifeline) welcome(listener net.Listener, joined chan<- struct{}, stop <-chan struct{}) {
	const longest = 500 * time.Millisecond
	var greeting sync.WaitGroup
	defer greeting.Wait()
	for pause := time.Duration(0); ; {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			pause = 0
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.strangers.dismissOld() // it holds a file
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			select {
			case <-time.After(pause):
			case <-stop:
			}
			continue
		}
		l.strangers.add(conn)
		greeting.Go(func() {
			if l.join(conn) != nil {
				return
			}
			select {
			case joined <- struct{}{}:
			default: // one that was not heard of yet will do
			}
		})
	}
}

// join takes a connection in, if it is a worker's.
func (l *lifeline) join(conn net.Conn) error {
	rank, borrows, err := l.greet(conn)
	if !l.strangers.remove(conn) && err == nil {
		err = errors.New("mpi: it was taken for a stranger")
	}
	if err == nil {
		err = l.sendWelcome(conn)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	return l.add(rank, conn, borrows)
}

// spareStrangers is how many connections may be open that have not proved who they
// are, beside one for each worker.
const spareStrangers = 256

// handshakeTime is how long a worker's handshake takes at most, as a rule: even without
// files it is not put out before.
const handshakeTime = time.Second

// strangers are the connections that have not proved who they are. When there are too
// many, one of them goes, by lot: so who floods the root puts out its own, as a rule,
// and a worker that had no luck comes again.
type strangers struct {
	most int

	mu   sync.Mutex
	list []stranger
	at   map[net.Conn]int // in list
}

type stranger struct {
	conn  net.Conn
	since time.Time
}

func (s *strangers) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) >= s.most {
		s.dismiss(mathrand.IntN(len(s.list)))
	}
	if s.at == nil {
		s.at = map[net.Conn]int{}
	}
	s.at[conn] = len(s.list)
	s.list = append(s.list, stranger{conn, time.Now()})
}

// remove reports whether the connection was still among them.
func (s *strangers) remove(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[conn]
	if ok {
		s.takeOut(i)
	}
	return ok
}

// dismissOld closes a connection that has had its time, if there is one.
func (s *strangers) dismissOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if time.Since(s.list[i].since) > handshakeTime {
			s.dismiss(i)
			return
		}
	}
}

func (s *strangers) dismissAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > 0 {
		s.dismiss(len(s.list) - 1)
	}
}

// dismiss closes the i-th. Who greets it sees that. mu is held.
func (s *strangers) dismiss(i int) {
	s.list[i].conn.Close() //nolint:errcheck // nobody can do anything about it
	s.takeOut(i)
}

// takeOut takes out the i-th. mu is held.
func (s *strangers) takeOut(i int) {
	last := len(s.list) - 1
	delete(s.at, s.list[i].conn)
	if i != last {
		s.list[i] = s.list[last]
		s.at[s.list[i].conn] = i
	}
	s.list[last] = stranger{}
	s.list = s.list[:last]
}

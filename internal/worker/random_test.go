package worker

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// seedEnv names the variable that runs a random test again.
const seedEnv = "WASMPOOL_WORKER_SEED"

// A member is a call that a whimsical root has sent.
type member struct {
	number   uint64
	ticket   uint32
	arg      string
	killed   bool // it was to be ended
	begun    bool
	arriving bool // its long result is on its way
	ended    bool
}

// A whimsical root sends blocks and calls of all kinds, ends some of them, and takes some back. It checks that
// each has one answer, and the right one.
type whimsical struct {
	*root
	random  *rand.Rand
	next    uint64           // number
	tickets []map[uint32]int // indexes in members, by the low half of the number; by ticket
	members []*member
	open    int // members that have not ended
	asked   int // how many calls it has taken back at most
	blocks  int // how many calls came in blocks
}

// TestRandomBlocks drives workers with random blocks.
func TestRandomBlocks(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "mixed", mixedWAT)
	seeds := []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()}
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	for i, seed := range seeds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Logf("%s=%d", seedEnv, seed)
			w := &whimsical{random: rand.New(rand.NewPCG(seed, 0)), next: math.MaxUint32 - 300}
			w.root = newRoot(t, m, 1+w.random.IntN(4), "mixed")
			d := 2 * time.Second
			if testing.Short() {
				d = 200 * time.Millisecond
			}
			w.run(d)
		})
	}
}

// run does at random what a root may do, for so long, and then waits until all calls have ended.
func (w *whimsical) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		switch w.random.IntN(8) {
		case 0, 1:
			if w.open < 2000 {
				w.sendCalls()
			}
		case 2:
			if w.random.IntN(3) == 0 {
				w.end(w.random.IntN(4) == 0)
			}
		case 3:
			if w.random.IntN(4) == 0 {
				n := 1 + w.random.IntN(1+w.random.IntN(500))
				w.asked += n
				w.control(wire.TypeTakeBack, wire.TakeBack{Max: n})
			}
		default:
			w.poll(time.Duration(w.random.IntN(200)) * time.Microsecond)
		}
	}
	w.t.Logf("%d calls, of which %d in blocks", len(w.members), w.blocks)
	for end := time.Now().Add(2 * time.Minute); w.open > 0; w.poll(20 * time.Millisecond) {
		w.end(true)
		if time.Now().After(end) {
			for _, m := range w.members {
				if !m.ended {
					w.t.Errorf("call %d (%q) has no answer: killed %t, begun %t, arriving %t", m.number, m.arg, m.killed, m.begun, m.arriving)
				}
			}
			break
		}
	}
	w.stop()
	w.poll(time.Millisecond)
}

func (w *whimsical) poll(d time.Duration) {
	for end := time.Now().Add(d); ; {
		if _, err := w.fabric.Endpoint(0).Poll(w); err != nil {
			w.t.Fatal(err)
		}
		if time.Now().After(end) {
			return
		}
	}
}

// sendCalls sends a frame of blocks and single calls. Most of them are short.
func (w *whimsical) sendCalls() {
	var f wire.Writer
	f.Reset(wire.TypeCalls)
	kinds := []string{"e", "e", "e", "e", strings.Repeat("e", 40) + "fao", strings.Repeat("e", 40) + "m", strings.Repeat("e", 40) + "tl", strings.Repeat("e", 90) + "s", "eeeemolfats"}
	letters := kinds[w.random.IntN(len(kinds))]
	for range 1 + w.random.IntN(3) {
		n := 1 + w.random.IntN(1+w.random.IntN(300))
		var args [][]byte
		for i := range n {
			arg := fmt.Sprintf("%c %d", letters[w.random.IntN(len(letters))], w.next+uint64(i))
			if w.random.IntN(20) == 0 {
				arg += string(bytes.Repeat([]byte("."), w.random.IntN(900)))
			}
			args = append(args, []byte(arg))
		}
		single := w.random.IntN(3) == 0
		if single {
			args = args[:1]
		}
		c := wire.Call{Number: w.next, Ticket: uint32(len(w.tickets)), Attempt: 1, Arg: args[0]}
		if single {
			f.AddCall(&c)
		} else {
			f.AddBlock(&c, args)
		}
		byGen := map[uint32]int{}
		for _, arg := range args {
			byGen[uint32(w.next)] = len(w.members)
			w.members = append(w.members, &member{number: w.next, ticket: c.Ticket, arg: string(arg)})
			w.next++
		}
		w.open += len(args)
		w.tickets = append(w.tickets, byGen)
		w.next += uint64(w.random.IntN(2)) // some have numbers that follow on another's
	}
	w.send(f.Frame())
}

// end orders calls to end, all that are open or some, and a few that have ended or do not exist.
func (w *whimsical) end(all bool) {
	kill := wire.Kill{Kind: uint8(host.KindKilled), Reason: "whim"}
	if w.random.IntN(2) == 0 {
		kill.Kind = uint8(host.KindCancelled)
	}
	one := w.random.IntN(1 + w.random.IntN(50))
	for _, m := range w.members[max(0, len(w.members)-3000):] {
		if m.ended && w.random.IntN(100) > 0 || !all && w.random.IntN(1+one) > 0 {
			continue
		}
		m.killed = true
		if kill.Calls = append(kill.Calls, m.number); len(kill.Calls) == 3000 {
			break
		}
	}
	for _, m := range w.members {
		if all && !m.ended && len(kill.Calls) < 3000 {
			m.killed = true
			kill.Calls = append(kill.Calls, m.number)
		}
	}
	kill.Calls = append(kill.Calls, w.next+10_000_000)
	w.random.Shuffle(len(kill.Calls), func(i, j int) { kill.Calls[i], kill.Calls[j] = kill.Calls[j], kill.Calls[i] })
	w.control(wire.TypeKill, kill)
}

// Frame implements transport.Handler.
func (w *whimsical) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		w.t.Error(err)
	}
	rd := wire.NewReader(count, body)
	switch typ {
	case wire.TypeResults:
		for res := (wire.Result{}); rd.NextResult(&res); {
			w.blocks += res.Count
			for _, one := range apart(res) {
				w.result(one)
			}
		}
	case wire.TypeReturned:
		for ticket, gen, n, ok := rd.NextTicket(); ok; ticket, gen, n, ok = rd.NextTicket() {
			for i := range n {
				if m := w.find(ticket, gen+i, "is returned"); m != nil {
					if m.begun {
						w.t.Errorf("call %d is returned, which has begun", m.number)
					}
					w.close(m)
				}
				w.asked--
			}
		}
		if w.asked < 0 {
			w.t.Error("more calls are returned than were asked for")
		}
	default:
		return
	}
	if rd.Err() != nil {
		w.t.Error(rd.Err())
	}
}

// find returns a member that has had no answer yet.
func (w *whimsical) find(ticket, gen uint32, what string) *member {
	if int(ticket) >= len(w.tickets) {
		w.t.Errorf("ticket %d %s, which does not exist", ticket, what)
		return nil
	}
	i, ok := w.tickets[ticket][gen]
	if !ok {
		w.t.Errorf("call %d of ticket %d %s, which does not exist", gen, ticket, what)
		return nil
	}
	m := w.members[i]
	if m.ended || m.arriving {
		w.t.Errorf("call %d (%q) %s a second time", m.number, m.arg, what)
		return nil
	}
	return m
}

func (w *whimsical) close(m *member) {
	m.ended = true
	w.open--
}

// result takes in one result.
func (w *whimsical) result(res wire.Result) {
	m := w.find(res.Ticket, res.Gen, "has a result")
	switch {
	case m == nil:
	case res.Begun:
		if m.begun {
			w.t.Errorf("call %d has begun twice", m.number)
		}
		m.begun = true
	case res.Failed:
		w.failed(m, res)
		w.close(m)
	case res.Long:
		w.long(m, res)
	default:
		if string(res.Data) != m.arg || bytes.ContainsAny(res.Data[:1], "ftlsO") {
			w.t.Errorf("call %d (%q) has the result %q", m.number, m.arg, res.Data)
		}
		if res.Asked != (m.arg[0] == 'a') {
			w.t.Errorf("call %d (%q) has asked which it is: %t", m.number, m.arg, res.Asked)
		}
		w.close(m)
	}
}

// failed checks a failure.
func (w *whimsical) failed(m *member, res wire.Result) {
	var f wire.Failure
	if err := wire.Decode(wire.TypeResults, res.Data, &f); err != nil {
		w.t.Error(err)
	}
	switch kind := host.Kind(f.Kind); {
	case (kind == host.KindKilled || kind == host.KindCancelled) && m.killed && f.Message == "whim":
	case kind == host.KindApplication && m.arg[0] == 'f' && f.Message == m.arg:
	case kind == host.KindTrap && m.arg[0] == 't':
	default:
		w.t.Errorf("call %d (%q), killed %t, failed by %v: %s", m.number, m.arg, m.killed, kind, f.Message)
	}
}

// long receives a long result.
func (w *whimsical) long(m *member, res wire.Result) {
	if m.arg[0] != 'l' || res.Len != 20000 {
		w.t.Errorf("call %d (%q) has a result of %d bytes", m.number, m.arg, res.Len)
	}
	m.arriving = true
	buf := make([]byte, res.Len)
	w.fabric.Endpoint(0).RecvPayload(1, res.Payload, buf, func(err error) {
		if err != nil || !bytes.HasPrefix(buf, []byte(m.arg)) {
			w.t.Errorf("call %d (%q) has the long result %q, %v", m.number, m.arg, buf[:30], err)
		}
		w.close(m)
	})
}

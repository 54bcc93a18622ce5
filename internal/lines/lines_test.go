package lines

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A number of lines is sent in a time, then it is said that others are left out, and how
// many those were.
func TestNext(t *testing.T) {
	t.Parallel()
	for ranks, most := range map[int]int{1: mostLines, 4: mostLines, 1000: allLines / 1000, 1_000_000: fewLines} {
		if got := PerRank(ranks); got != most {
			t.Errorf("a rank of %d may send %d lines, want %d", ranks, got, most)
		}
	}
	const most = 100
	var l Limiter
	now := int64(time.Hour)
	for round, want := range []string{
		"[they logged more than 100 lines in 10s: the rest of that time is left out of the log]",
		"[200 lines that they logged were left out they logged more than 100 lines in 10s: the rest of that time is left out of the log]",
	} {
		passed := 0
		var said []string
		for range 3 * most {
			now++
			pass, note := l.Next(now, "they", most)
			if pass {
				passed++
			}
			if note != "" {
				said = append(said, note)
			}
		}
		if passed != most || fmt.Sprint(said) != want {
			t.Errorf("round %d: %d passed, want %d; said %q", round, passed, most, said)
		}
		now += int64(Every)
	}
}

// The lines of an honest rank are not stopped, however they come.
func TestLateHonest(t *testing.T) {
	t.Parallel()
	const most = 20
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var near, far Limiter
		last := int64(0)
		arrive := func(at int64) {
			last = max(last, at) // lines do not overtake each other
			if pass, note := far.Late(last, "the rank", most); !pass || note != "" {
				t.Fatalf("seed %d: a line of an honest rank was stopped %v after its start: %q", seed, time.Duration(last), note)
			}
		}
		chatty := seed%2 == 0
		for now := int64(1); now < int64(3*time.Hour); {
			at := now + rnd.Int64N(int64(50*time.Millisecond))
			if now%int64(10*time.Minute) > int64(9*time.Minute) { // all are held up for a minute
				at = max(at, (now/int64(10*time.Minute)+1)*int64(10*time.Minute))
			}
			pass, note := near.Next(now, "it", most)
			if note != "" {
				arrive(at)
			}
			if pass {
				arrive(at)
			}
			switch {
			case pass && chatty: // as much as it may at once, then as much again as soon as it may
				now++
			case chatty:
				now += int64(Every) - now%int64(Every) + 1
			case rnd.IntN(100) == 0:
				now += rnd.Int64N(int64(time.Minute))
			default:
				now += rnd.Int64N(int64(time.Second))
			}
		}
	}
}

// Of a rank that floods the root no more passes in the long run than an honest one sends, and
// it is said now and then how much did not.
func TestLateFlood(t *testing.T) {
	t.Parallel()
	const most, hours = 20, 3
	var far Limiter
	passed, said, stopped := 0, 0, 0
	for now := int64(1); now < int64(hours*time.Hour); now += int64(10 * time.Millisecond) {
		pass, note := far.Late(now, "the rank", most)
		if pass {
			passed++
		} else {
			stopped++
		}
		if note != "" {
			said++
		}
	}
	windows := int(hours * time.Hour / Every)
	if most := (most + notes) * (windows + Patience); passed > most || stopped == 0 {
		t.Errorf("%d lines of a flood have passed, want at most %d", passed, most)
	}
	if said == 0 || said > 2*windows {
		t.Errorf("%d times it was said that lines were left out, in %d times %v", said, windows, Every)
	}
}

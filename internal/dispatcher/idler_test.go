package dispatcher

import (
	"testing"
	"time"
)

// TestIdlerDecides checks what the loop does after each silence, without a clock.
func TestIdlerDecides(t *testing.T) {
	t.Parallel()
	const never = 24 * time.Hour
	busy := situation{busy: true}
	for name, tc := range map[string]struct {
		idler     idler
		situation situation
		want      []pause         // one after the other; a nap without a length is an eighth of the silence
		until     []time.Duration // each for so much silence
	}{
		"without calls it looks for one, then sleeps until it is rung": {
			want: []pause{{watch, mostSpin}, {doze, 0}}, until: []time.Duration{mostSpin, never},
		},
		"without calls it sleeps at once after a caller ran it": {
			idler: idler{attended: true},
			want:  []pause{{doze, 0}}, until: []time.Duration{never},
		},
		"it looks for a late hello now and then": {
			situation: situation{awaited: true},
			want:      []pause{{watch, mostSpin}, {doze, safety}}, until: []time.Duration{mostSpin, never},
		},
		"with calls it polls, then naps, then dozes": {
			situation: busy,
			want:      []pause{{pollAgain, 0}, {nap, firstNap}, {nap, 0}, {doze, longNap}, {doze, safety}},
			until:     []time.Duration{mostSpin, 8 * firstNap, napsUntil, deepAfter, never},
		},
		"it polls for longer after the first call": {
			idler: idler{fresh: true}, situation: busy,
			want:  []pause{{pollAgain, 0}, {nap, 0}, {doze, longNap}, {doze, safety}},
			until: []time.Duration{spinFresh, napsUntil, deepAfter, never},
		},
		"it polls for longest while something is being sent, and never sleeps for long then": {
			situation: situation{busy: true, pending: true},
			want:      []pause{{pollAgain, 0}, {doze, longNap}}, until: []time.Duration{spinSends, never},
		},
		"it polls less where that was in vain": {
			idler: idler{spin: leastSpin}, situation: busy,
			want: []pause{{pollAgain, 0}, {nap, firstNap}}, until: []time.Duration{leastSpin, 8 * firstNap},
		},
		"its naps are a part of the silence that is usual": {
			idler: idler{gap: 2 * time.Millisecond}, situation: busy,
			want: []pause{{pollAgain, 0}, {nap, time.Millisecond / 2}}, until: []time.Duration{mostSpin, napsUntil},
		},
		"its naps are half of what the workers have to do": {
			situation: situation{busy: true, slack: 600 * time.Microsecond},
			want:      []pause{{pollAgain, 0}, {nap, 300 * time.Microsecond}}, until: []time.Duration{mostSpin, 2 * time.Millisecond},
		},
		"but not too long": {
			situation: situation{busy: true, slack: time.Hour},
			want:      []pause{{pollAgain, 0}, {nap, longNap}}, until: []time.Duration{mostSpin, napsUntil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := tc.idler
			if i.spin == 0 {
				i.spin = mostSpin
			}
			from := time.Duration(0)
			for n, want := range tc.want {
				for _, silent := range []time.Duration{from, (from + tc.until[n]) / 2, tc.until[n] - 1} {
					got, d := i.decide(silent, tc.situation), want.d
					if want.how == nap && d == 0 {
						d = silent / 8
					}
					if got != (pause{want.how, d}) {
						t.Errorf("after %v of silence: %v, want %v for %v", silent, got, want.how, d)
					}
				}
				from = tc.until[n]
			}
		})
	}
}

// TestIdlerLearns checks that short silences make the loop poll for longer, and long ones
// for less long.
func TestIdlerLearns(t *testing.T) {
	t.Parallel()
	i := idler{spin: mostSpin}
	now := int64(1)
	i.start(now)
	silence := func(d time.Duration) {
		t.Helper()
		now += int64(d)
		if got := i.turned(now, false); got != d {
			t.Fatalf("a silence of %v is taken for %v", d, got)
		}
		if got := i.turned(now, true); got != 0 {
			t.Fatalf("there is %v of silence after something moved", got)
		}
	}
	for range 10 {
		silence(2 * time.Millisecond)
	}
	if i.spin != leastSpin || i.gap < time.Millisecond || i.gap > 2*time.Millisecond {
		t.Errorf("after silences of 2 ms it polls for %v and takes %v for usual", i.spin, i.gap)
	}
	for range 20 {
		silence(mostSpin / 2)
	}
	if i.spin != mostSpin {
		t.Errorf("after short silences it polls for %v, want %v", i.spin, mostSpin)
	}
	silence(time.Hour)
	if i.gap > napsUntil {
		t.Errorf("it takes %v for usual, more than it naps for", i.gap)
	}
}

// TestIdlerFresh checks that the first call of a pool that had none is told from those that
// follow at once.
func TestIdlerFresh(t *testing.T) {
	t.Parallel()
	i := idler{spin: leastSpin}
	i.start(1)
	if i.begun(1 + int64(mostSpin)); i.fresh {
		t.Error("a call that follows at once is taken for the first")
	}
	if i.begun(2 + int64(mostSpin)); !i.fresh || !i.patient(spinFresh-1, false) {
		t.Error("it does not look for the answer to the first call")
	}
	i.begun(2)
	if !i.fresh {
		t.Error("another call makes it forget the first")
	}
	if i.answered(); i.fresh || i.patient(leastSpin, false) {
		t.Error("it still looks for the answer")
	}
	if i.rung(5 * int64(mostSpin)); i.turned(5*int64(mostSpin)+7, false) != 7 {
		t.Error("the bell does not begin a new silence")
	}
}

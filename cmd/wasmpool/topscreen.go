package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/wasmpool/wasmpool/monitor"
)

// Control sequences of terminals: what stood there comes back at the end.
const (
	topBegin = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another screen, without a cursor; long lines are cut
	topEnd   = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	topHome  = "\x1b[H"
	topLast  = "\x1b[K" // to the end of the line
	topRest  = "\x1b[J" // and of the screen
	topBold  = "\x1b[1m"
	topTurn  = "\x1b[7m"
	topPlain = "\x1b[m"
)

// A topView shows a job live, and takes keys.
type topView struct {
	top
	ctx  context.Context //nolint:containedctx // of the command
	out  *os.File
	ask  func(ctx context.Context) error // what a y is the answer to; nil without a question
	done string                          // what to say when it was done
	says chan string                     // what became of that
}

// watchJob shows a job live, until a key ends that or the job is over.
func (a *app) watchJob(ctx context.Context, j runningJob) error {
	s, err := j.state(ctx)
	if err != nil {
		return err
	}
	in, out := fileOf(a.in), fileOf(a.out)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal: %w (--once does without its keys)", err)
	}
	v := &topView{top: top{job: j, state: s, live: true}, ctx: ctx, out: out, says: make(chan string, 1)}
	io.WriteString(out, topBegin) //nolint:errcheck // a terminal that is gone shows nothing
	err = v.run(readKeys(in))
	io.WriteString(out, topEnd)        //nolint:errcheck // likewise
	term.Restore(int(in.Fd()), before) //nolint:errcheck // likewise
	if errors.Is(err, errGone) {
		fmt.Fprintf(a.err, "wasmpool: job %s has ended: %s\n", j.Name, v.head()[1].text)
		err = nil
	}
	return err
}

// fileOf returns the file behind a stream that is a terminal.
func fileOf(stream any) *os.File {
	for w, ok := stream.(interface{ Unwrap() io.Writer }); ok; w, ok = stream.(interface{ Unwrap() io.Writer }) {
		stream = w.Unwrap()
	}
	f, _ := stream.(*os.File)
	return f
}

// A look at a job.
type lookedAt struct {
	state *monitor.State
	err   error
}

// run shows the job until q, or until it cannot be asked any more.
func (v *topView) run(keys <-chan rune) error {
	ctx, cancel := context.WithCancel(v.ctx)
	defer cancel()
	looks := make(chan lookedAt)
	go func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			s, err := v.job.state(ctx)
			select {
			case looks <- lookedAt{s, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		v.draw()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-looks:
			if l.err != nil {
				return l.err
			}
			v.take(l.state)
		case v.notice = <-v.says:
		case k, open := <-keys:
			if !open || !v.key(k) {
				return nil
			}
		}
	}
}

// Keys that are no characters.
const (
	keyUp rune = -1 - iota
	keyDown
	keyOther
)

// key does what a key asks for. It returns false for the end.
func (v *topView) key(k rune) bool {
	if ask := v.ask; ask != nil {
		v.ask, v.notice = nil, ""
		if k == 'y' || k == 'Y' {
			done := v.done
			go func() {
				if err := ask(v.ctx); err != nil {
					done = oneLine(err)
				}
				v.says <- done
			}()
		}
		return k != '\x03'
	}
	v.notice = ""
	switch k {
	case 'q', 'Q', '\x03':
		return false
	case 'j', keyDown:
		v.choose(1)
	case 'k', keyUp:
		v.choose(-1)
	case 'K':
		v.askKill()
	case 'D':
		v.question("drain the job: no call is begun any more?", "the job begins no call any more", v.job.drain)
	}
	return true
}

// askKill asks whether to kill the chosen call.
func (v *topView) askKill() {
	at := v.at()
	if at < 0 {
		v.notice = "choose a running call first, with j and k"
		return
	}
	c := v.state.Running[at]
	what := fmt.Sprintf("call %d of %s", c.Number, c.Task)
	v.question("kill "+what+"?", what+" was killed", func(ctx context.Context) error {
		var killed monitor.Killed
		err := v.job.ask(ctx, "kill", monitor.Kill{Call: c.Number, Reason: "killed by wasmpool status"}, &killed)
		if err == nil && killed.Killed == 0 {
			err = errors.New(what + " had ended")
		}
		return err
	})
}

// question asks something.
func (v *topView) question(text, done string, ask func(context.Context) error) {
	v.notice, v.done, v.ask = text+" y n", done, ask
}

// draw draws all in place.
func (v *topView) draw() {
	columns, rows, err := term.GetSize(int(v.out.Fd()))
	if err != nil || columns < 2 || rows < 2 {
		columns, rows = 80, 24
	}
	var b strings.Builder
	b.WriteString(topHome)
	lines := v.lines(columns, rows)
	for i, line := range lines {
		switch line.look {
		case lookHead:
			line.text = topBold + line.text + topPlain
		case lookChosen:
			line.text = topTurn + line.text + topPlain
		}
		b.WriteString(line.text + topLast)
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString(topRest)
	io.WriteString(v.out, b.String()) //nolint:errcheck // a terminal that is gone shows nothing
}

// readKeys reads keys, on a goroutine that ends with the process, or when there are no more.
func readKeys(in io.Reader) <-chan rune {
	keys := make(chan rune)
	go func() {
		defer close(keys)
		var p keyParser
		for buf := make([]byte, 64); ; {
			n, err := in.Read(buf)
			for _, c := range buf[:n] {
				if k, whole := p.add(c); whole {
					keys <- k
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return keys
}

// A keyParser makes keys of bytes: a key that is no character is a sequence that begins with ESC.
type keyParser struct{ sequence []byte }

// add takes a byte, which may make a key whole.
func (p *keyParser) add(c byte) (key rune, whole bool) {
	switch n := len(p.sequence); {
	case c == '\x1b':
		p.sequence = append(p.sequence[:0], c)
		return 0, false
	case n == 0:
		return rune(c), true
	case n == 1 && (c == '[' || c == 'O'), n > 1 && n < 16 && c >= ' ' && c < '@':
		p.sequence = append(p.sequence, c)
		return 0, false
	case n == 1: // ESC and a key
		p.sequence = p.sequence[:0]
		return rune(c), true
	}
	p.sequence = p.sequence[:0]
	switch c {
	case 'A':
		return keyUp, true
	case 'B':
		return keyDown, true
	}
	return keyOther, true
}

package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A screen is a terminal with a footer: one line, drawn anew in place, below the lines that
// are written meanwhile. What is written goes through panes. It is safe for concurrent use.
type screen struct {
	mu      sync.Mutex
	tty     io.Writer
	columns func() int // its width; less than 2 is unknown
	footer  string     // "" for none
	partial bool       // what was written last is no whole line: the footer waits for its end
}

// newScreen makes a terminal a screen.
func newScreen(tty *os.File) *screen {
	return &screen{tty: tty, columns: func() int {
		width, _, err := term.GetSize(int(tty.Fd()))
		if err != nil {
			return 0
		}
		return width
	}}
}

// clearLine goes to the beginning of the line and removes what stands there.
const clearLine = "\r\x1b[K"

// set changes the footer; "" removes it.
func (s *screen) set(footer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if footer == s.footer {
		return
	}
	s.hide()
	s.footer = footer
	s.show()
}

// hide removes the footer from the terminal. mu is held, as for show.
func (s *screen) hide() {
	if s.footer != "" && !s.partial {
		io.WriteString(s.tty, clearLine) //nolint:errcheck // a terminal that is gone needs no footer
	}
}

func (s *screen) show() {
	if s.footer != "" && !s.partial {
		io.WriteString(s.tty, cutTo(s.footer, s.columns())) //nolint:errcheck // as above
	}
}

// cutTo cuts a line so that a terminal of so many columns does not break it.
func cutTo(line string, columns int) string {
	if columns < 2 {
		columns = 80
	}
	if runes := []rune(line); len(runes) >= columns {
		return string(runes[:columns-1])
	}
	return line
}

// A pane writes to a screen above its footer.
type pane struct {
	*screen
	to io.Writer // the terminal, by one of its streams
}

// Write implements [io.Writer].
func (p pane) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hide()
	n, err := p.to.Write(b)
	if n > 0 {
		p.partial = b[n-1] != '\n'
	}
	p.show()
	return n, err
}

// Unwrap returns the stream behind.
func (p pane) Unwrap() io.Writer { return p.to }

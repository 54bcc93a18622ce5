package host

// mostPrinted is how much of a guest's output is kept.
const mostPrinted = 16 << 10

// printed keeps the end of what a guest prints.
type printed struct {
	in   *instance
	text []byte
}

// Write implements [io.Writer].
func (p *printed) Write(part []byte) (int, error) {
	n := len(part)
	p.in.slot.addLog(n)
	p.in.stream(part)
	part = part[max(0, n-mostPrinted):]
	if len(p.text)+len(part) > 2*mostPrinted {
		p.text = append(p.text[:0], p.text[len(p.text)-mostPrinted:]...)
	}
	p.text = append(p.text, part...)
	return n, nil
}

// String returns the last 16 KiB.
func (p *printed) String() string {
	return text(p.text[max(0, len(p.text)-mostPrinted):])
}

func (p *printed) reset() { p.text = p.text[:0] }

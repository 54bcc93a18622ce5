package host

// rewrite is the second step of the pipeline: it returns the bytes to compile,
// with the ticks that let a computing guest reach Go now and then. The cache needs
// no version for it: entries are named after the bytes they were compiled from.
func (h *Host) rewrite(wasm []byte, g *gated) ([]byte, error) {
	if h.cfg.NoMeter {
		return wasm, nil
	}
	out, err := g.code.Rewrite()
	if err != nil {
		return nil, errorf(KindBadModule, "%w", err)
	}
	return out, nil
}

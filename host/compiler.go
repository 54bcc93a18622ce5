package host

import "github.com/wasmpool/wasmpool/internal/compile"

// A Compiler is a process that compiles modules for hosts which, being confined, can
// neither start a process nor write to the cache folder: with [Config.Compiler] a Host
// only reads there. The process is this program again: an init function of package
// internal/compile does its work. It compiles one module at a time, in a child process
// each, as a Host does without it.
//
// It is safe for concurrent use.
type Compiler struct{ process *compile.Compiler }

// StartCompiler starts a process that compiles for hosts with these settings. Where
// there is no cache folder, it makes one that lasts as long as it does. It blocks until the
// process has said which. Close ends it; it ends by itself when this process does.
func StartCompiler(cfg Config) (*Compiler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	pipeline, err := cfg.withDefaults().pipeline()
	if err != nil {
		return nil, err
	}
	process, err := compile.StartCompiler(pipeline)
	if err != nil {
		return nil, err
	}
	return &Compiler{process}, nil
}

// CacheDir is the folder it fills. A confined process must be able to read it.
func (c *Compiler) CacheDir() string { return c.process.CacheDir() }

// Close ends the process, in the middle of a module if need be, and waits for it.
// Calling it again is fine.
func (c *Compiler) Close() error { return c.process.Close() }

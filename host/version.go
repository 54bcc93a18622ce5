package host

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// resultsVersion is that of what guests can see of the host, but for the engine and the meter: seeds, clocks, what imports do and cost. Whoever changes
// what a task may give changes this.
const resultsVersion = "2"

const engineModule = "github.com/tetratelabs/wazero"

// Version names all of the host that a task's result may depend on: its own version, that of the meter, that of the engine, and the
// architecture, as kinds of CPUs differ in the bits of a NaN. With equal versions equal calls give equal results.
var Version = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return strings.Join([]string{"host " + resultsVersion, "meter " + meter.Version, "wazero " + engineVersion(info, os.Executable), runtime.GOARCH}, ", ")
})

// engineVersion returns the version of the engine that the program was built with, as info has it. Where it says nothing, as with
// other build systems than Go's or with the engine from a folder, it is the program's own: no other program is taken to have the same engine.
func engineVersion(info *debug.BuildInfo, program func() (name string, err error)) string {
	if info != nil {
		for _, m := range info.Deps {
			if m.Path != engineModule {
				continue
			}
			if m.Replace == nil && m.Version != "" {
				return m.Version
			}
			if m.Replace != nil && m.Replace.Sum != "" {
				return m.Replace.Path + "@" + m.Replace.Version + m.Replace.Sum
			}
		}
	}
	return "of the program " + programDigest(program)
}

// programDigest returns the SHA-256 of the program, or, where it cannot be read, what nobody else has.
func programDigest(program func() (name string, err error)) string {
	name, err := program()
	if err != nil {
		return rand.Text()
	}
	file, err := os.Open(name)
	if err != nil {
		return rand.Text()
	}
	defer file.Close() //nolint:errcheck // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return rand.Text()
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// EffectiveLimits returns the limits of a call that sets these, nil for none, on a host with these settings.
func (c Config) EffectiveLimits(own *Limits) Limits {
	c = c.withDefaults()
	if own == nil {
		return c.Limits.within(c.MemoryLimit)
	}
	return own.Over(c.Limits).within(c.MemoryLimit)
}

// GrantsOf returns what a module may see of the world. A command that brings its command line along has that, unless it
// is granted another. The error is about that one's words.
func (c Config) GrantsOf(m *wasmtasks.Module) (Grants, error) {
	g, ok := c.Grants[m.Name()]
	if !ok {
		g = c.Grants[EveryModule]
	}
	own, ok := m.CommandLine()
	if !ok || len(g.Args) > 0 || g.Keep != KeepNot {
		return g, nil
	}
	var err error
	g.Args = own.Args
	g.Keep, err = parseKeep(own.Keep)
	return g, err
}

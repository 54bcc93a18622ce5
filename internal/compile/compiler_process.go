package compile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// The process of a [Compiler] never gets past this function: see the package's
// documentation.
func init() {
	if os.Getenv(compilerEnv) != "" {
		os.Exit(beCompiler(os.Stdin, os.Stdout))
	}
}

// beCompiler compiles the modules that arrive, until the sender is gone, and returns the
// process's exit code.
func beCompiler(in io.Reader, out io.Writer) int {
	// The children that compile are this program, too, and no compilers.
	if err := os.Unsetenv(compilerEnv); err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := bufio.NewReaderSize(endingWith(in, cancel), mostLine)
	reply := json.NewEncoder(out).Encode
	var order compilerOrder
	if err := readLine(requests, &order); err != nil {
		return 1
	}
	p, remove, err := order.pipeline()
	if err != nil {
		reply(compilerReply{Error: err.Error()}) //nolint:errcheck // it is over in any case
		return 1
	}
	defer remove()
	for answer := (compilerReply{CacheDir: p.CacheDir()}); reply(answer) == nil; {
		m, err := readModule(requests)
		if err != nil {
			break
		}
		answer = p.fillCache(ctx, m)
	}
	return 0
}

// pipeline returns the pipeline that the order asks for, and makes its cache folder, since
// a confined process can only be allowed to read what is there. Where there is no cache
// folder it makes one, and remove removes that one at the end.
func (o compilerOrder) pipeline() (p *Pipeline, remove func(), err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	rules := Rules{MemoryLimit: o.MemoryLimit, Offers: o.Offers, AllowLarge: o.AllowLarge, StubImports: o.StubImports}
	p = New(Config{CacheDir: o.CacheDir, Rules: rules, NoMeter: o.NoMeter, Reset: o.Reset, Logger: log})
	if dir := p.CacheDir(); dir != "" {
		return p, func() {}, os.MkdirAll(dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "wasmpool-compiled-*")
	p.cfg.CacheDir = dir
	return p, func() { os.RemoveAll(dir) }, err //nolint:errcheck // nothing can be done about it
}

// endingWith returns a copy of in, and calls end as soon as in ends, although the reader
// may be busy with a module: nobody waits for it any more.
func endingWith(in io.Reader, end func()) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		end()
		w.CloseWithError(err)
	}()
	return r
}

// A sentModule is a request and the bytes behind it.
type sentModule struct {
	name string
	wasm []byte
}

// readModule reads the next request.
func readModule(requests *bufio.Reader) (m sentModule, err error) {
	var r compilerRequest
	if err := readLine(requests, &r); err != nil {
		return m, err
	}
	if r.Size < 0 || r.Size > wasmbin.MaxSize {
		return m, errors.New("the module is too large")
	}
	m = sentModule{r.Name, make([]byte, r.Size)}
	_, err = io.ReadFull(requests, m.wasm)
	return m, err
}

// mostLine is the longest line in bytes that the process reads; its order has some 3 KiB.
// The sender may be a process that a guest has taken over, which must not fill the memory of
// this one, as nothing confines it.
const mostLine = 64 << 10

// readLine decodes one line, of at most as many bytes as the reader holds.
func readLine(r *bufio.Reader, into any) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// fillCache compiles a module into the cache folder, and keeps nothing of it in memory.
func (p *Pipeline) fillCache(ctx context.Context, sent sentModule) compilerReply {
	m, err := wasmtasks.Load(sent.name, sent.wasm)
	if err != nil {
		return compilerReply{Error: err.Error(), Bad: true}
	}
	c, err := p.Load(ctx, m)
	if err != nil {
		return compilerReply{Error: err.Error(), Bad: errors.As(err, new(*BadModuleError))}
	}
	c.Close() //nolint:errcheck // the module is in the cache folder
	return compilerReply{}
}

package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A Source says where the bytes of a shared input are, on the root. The zero value is none.
type Source struct {
	open func(context.Context, *blob.Store) (*blob.Blob, error)
	tree bool
}

// FromBytes is a source of bytes in memory. They are not copied: leave them alone until the pool is
// shut down.
func FromBytes(data []byte) Source {
	return Source{open: func(context.Context, *blob.Store) (*blob.Blob, error) { return blob.OfBytes(data), nil }}
}

// FromFile is a source of a regular file's bytes. The file is not read into memory: it is read once for its
// digest, and again, a piece at a time, where a node needs it. Only the root needs to have it. Leave it alone until the
// pool is shut down: when it has changed, calls that would see the change fail.
func FromFile(name string) Source {
	return Source{open: func(ctx context.Context, _ *blob.Store) (*blob.Blob, error) { return blob.OfFile(ctx, name) }}
}

// FromReader is a source of all that r gives, once. It is kept in a file below Config.SharedDir, or, where there can
// be none, in memory.
func FromReader(r io.Reader) Source {
	if r == nil {
		return Source{}
	}
	return Source{open: func(ctx context.Context, s *blob.Store) (*blob.Blob, error) { return s.Put(ctx, r) }}
}

// AsTree makes a source be seen as what it holds, a zip file or a tar file that is not compressed:
// /shared/NAME is a folder for guests that open files, and below it lie the folders and files. For package sdk
// it is its bytes. See [host.OpenTree].
func (s Source) AsTree() Source {
	s.tree = true
	return s
}

// A Blob is an immutable sequence of bytes that calls may have as a shared input: see [With]. It is
// safe for concurrent use, and of use in every pool of the process.
type Blob struct {
	blob *blob.Blob
	tree bool
}

// Digest returns the SHA-256 of the bytes.
func (b *Blob) Digest() [32]byte { return b.blob.Digest() }

// Len returns how many bytes there are.
func (b *Blob) Len() int64 { return b.blob.Len() }

// Tree reports whether guests see what the bytes hold, a zip or tar file, as a folder: see [Source.AsTree].
func (b *Blob) Tree() bool { return b.tree }

// Share makes bytes ready to be shared into calls. It blocks while it reads them, for their
// digest, or until ctx ends. They travel to a node when a call there first needs them, once for all of
// the node's ranks, and are kept there for other jobs, too. The root keeps what it needs of a blob that calls had, a file or
// memory, until the pool is shut down, and a pool takes 65,536 different sets of shared inputs: what differs from call to
// call belongs into the argument.
func (ex *Executor) Share(ctx context.Context, src Source) (*Blob, error) {
	b, err := ex.share(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("executor: Share: %w", err)
	}
	return b, nil
}

// Shared returns what Config.Shared has made, by name.
func (ex *Executor) Shared() map[string]*Blob {
	all := map[string]*Blob{}
	if ex.shared != nil {
		for _, in := range ex.shared.Shared.List() {
			all[in.Name] = &Blob{in.Blob, in.Tree}
		}
	}
	return all
}

func (p *pool) share(ctx context.Context, src Source) (*Blob, error) {
	if src.open == nil {
		return nil, errors.New("it was given the zero Source: use FromBytes, FromFile or FromReader")
	}
	b, err := src.open(ctx, p.blobs)
	if err != nil {
		return nil, err
	}
	if src.tree {
		if _, err := host.OpenTree(b, b.Len()); err != nil {
			b.Close()
			return nil, fmt.Errorf("it cannot be seen as a tree: %w", err)
		}
	}
	return &Blob{b, src.tree}, nil
}

// With gives the call a shared input: bytes that it may read besides its argument, by a name of letters, digits,
// _, - and dots (see [host.CheckSharedName]). A task in Go reads it with sdk.Shared, and a guest that opens files, such as
// an interpreter, as /shared/NAME. A call has those that it was given, and those of Config.Shared, and may have
// 100; of one name the last one given counts. What a call was not given does not exist for it.
//
// Where the bytes cannot be had, as a file on the root has changed, the call fails with kind host.
func With(name string, b *Blob) CallOption {
	return optionFunc(func(s *settings) error {
		if err := host.CheckSharedName(name); err != nil {
			return fmt.Errorf("executor: With: %w", err)
		}
		if b == nil {
			return fmt.Errorf("executor: With(%q) was given a nil Blob", name)
		}
		o := s.rare()
		o.Shared = o.Shared.With(dispatcher.SharedInput{Name: name, Blob: b.blob, Tree: b.tree})
		if n := len(o.Shared.List()); n > host.MostShared {
			return fmt.Errorf("executor: a call with %d shared inputs, may have at most %d", n, host.MostShared)
		}
		return nil
	})
}

// shareConfig reads what Config.Shared names. It comes before any call.
func (p *pool) shareConfig(ctx context.Context) error {
	var all *dispatcher.SharedInputs
	for _, name := range slices.Sorted(maps.Keys(p.cfg.Shared)) {
		b, err := p.share(ctx, p.cfg.Shared[name])
		if err != nil {
			return fmt.Errorf("executor: Config.Shared[%q]: %w", name, err)
		}
		all = all.With(dispatcher.SharedInput{Name: name, Blob: b.blob, Tree: b.tree})
	}
	if all == nil {
		return nil
	}
	p.shared = &dispatcher.Options{Shared: all}
	return p.dispatcher.Admit(all)
}

// blobStore returns the store of a worker rank: none for one that is confined, which may not write.
func (c Config) blobStore() *blob.Store {
	if c.Confine {
		return nil
	}
	return blob.NewStore(c.SharedDir, c.SharedBytes, c.Logger)
}

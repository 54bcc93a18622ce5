package compile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// The engine decodes and validates all of a module before it looks for its code in a
// folder, which takes longer than to load the code. So it is given the module's skeleton
// there: the same module with bodies that are a trap each, which is all that the engine needs
// beside the code. The code of the whole module lies under the skeleton's name. See
// RATIONALE.md, "Why does the engine look up a module's skeleton?".

// skeletonSection is the custom section that ties a skeleton to its module: it has the
// module's SHA-256, so that another module has another skeleton.
const skeletonSection = "wasmpool.skeleton"

// A skeleton's bodies: their length, no locals, unreachable, end.
const skeletonBody = "\x03\x00\x00\x0b"

// skeleton returns the skeleton of a module. The error is a [BadModuleError].
func skeleton(wasm []byte) ([]byte, error) {
	out, err := replaceSections(wasm, func(id wasmbin.SectionID, content []byte) []byte {
		if id != wasmbin.SectionCode {
			return nil
		}
		bodies, _ := binary.Uvarint(content)
		return skeletonCode(bodies)
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(wasm)
	custom := binary.AppendUvarint(nil, uint64(len(skeletonSection)))
	custom = append(custom, skeletonSection...)
	return appendSection(out, wasmbin.SectionCustom, append(custom, sum[:]...)), nil
}

// skeletonCode is the content of a code section of n bodies.
func skeletonCode(n uint64) []byte {
	code := binary.AppendUvarint(nil, n)
	for range n {
		code = append(code, skeletonBody...)
	}
	return code
}

// errMissing says that a folder has no code of a module for this engine and CPU.
var errMissing = errors.New("the module's code is not in the cache folder")

// looking is the context of a look into a folder. It has ended, which the engine finds out
// before it compiles the first function, and after it has looked.
var looking = func() context.Context {
	ctx, end := context.WithCancelCause(context.Background())
	end(errMissing)
	return ctx
}()

// lookUp loads the code of a module from the folder dir, and compiles nothing: the error is
// errMissing when the code is not there.
func lookUp(dir string, wasm []byte, facts *wasmbin.Module) (*Code, error) {
	if !onlyLooks() {
		return nil, &fs.PathError{Op: "look up code in", Path: dir, Err: errors.New("this version of the engine would compile what is not there")}
	}
	bones, err := skeleton(wasm)
	if err != nil {
		return nil, err
	}
	return newCode(looking, bones, dir, facts)
}

// onlyLooks reports whether the engine compiles nothing where it is only to look, as
// the skeleton's own code would be that of the module from then on.
var onlyLooks = sync.OnceValue(func() bool {
	const oneFunction = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x0a\x05\x01" + skeletonBody
	_, err := newCode(looking, []byte(oneFunction), "", &wasmbin.Module{})
	return errors.Is(err, errMissing)
})

// store compiles a module, and puts its code into the folder dir, where lookUp finds it.
//
// The engine says under which name it looks for a skeleton's code by compiling that, too, in
// a folder of its own.
func store(ctx context.Context, dir string, wasm []byte) error {
	bones, err := skeleton(wasm)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "*"+tempSuffix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // it counts for nothing
	code, err := compileInto(ctx, filepath.Join(work, "module"), wasm)
	if err != nil {
		return err
	}
	named, err := compileInto(ctx, filepath.Join(work, "skeleton"), bones)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(filepath.Join(work, "skeleton"), named)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700)
	}
	if err != nil {
		return err
	}
	return os.Rename(code, filepath.Join(dir, name))
}

// compileInto compiles wasm, and returns the one file that the engine makes in dir.
func compileInto(ctx context.Context, dir string, wasm []byte) (file string, err error) {
	c, err := newCode(ctx, wasm, dir, &wasmbin.Module{})
	if err != nil {
		return "", err
	}
	if err := c.Close(); err != nil {
		return "", err
	}
	files := entry{dir: dir}.files()
	if len(files) != 1 {
		return "", fmt.Errorf("compilationcache: the engine has made the files %q, want one", files)
	}
	return files[0], nil
}

package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// cargoFile makes a folder a Cargo package.
const cargoFile = "Cargo.toml"

// rustTargets are those that wasmpool can run, the best first: newer compilers have the first, older the second. The third has no WASI, so
// that a panic has no message.
var rustTargets = []string{"wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-unknown"}

// compileRust compiles a Cargo package by cargo, and a file by rustc.
func compileRust(ctx context.Context, s Source, out string) error {
	rustc, err := s.find("rustc")
	if err != nil {
		return err
	}
	target, err := s.rustTarget(ctx, rustc)
	if err != nil {
		return err
	}
	if len(s.Files) == 0 {
		return s.cargo(ctx, target, out)
	}
	compile := func(kind string) func() error {
		return func() error {
			// Debug information makes a small module 60 times as large.
			_, err := s.run(ctx, rustc, "--edition=2021", "--error-format=short", "--crate-type="+kind, "--target="+target, "-Copt-level=3", "-Cstrip=debuginfo", "-o", out, s.Files[0])
			return err
		}
	}
	return s.tasksOrCommand(out, `#[no_mangle] pub extern "C"`, compile("cdylib"), compile("bin"))
}

// rustTarget finds a target whose standard library is installed.
func (s Source) rustTarget(ctx context.Context, rustc string) (string, error) {
	for _, target := range rustTargets {
		dir, err := s.run(ctx, rustc, "--print=target-libdir", "--target="+target)
		if failed := (*Failure)(nil); errors.As(err, &failed) {
			continue // a target that it does not know
		} else if err != nil {
			return "", err
		}
		if _, err := os.Stat(strings.TrimSpace(dir)); err == nil {
			return target, nil
		}
	}
	version, err := s.run(ctx, rustc, "--version")
	if err != nil {
		return "", err
	}
	return "", &MissingError{s.Language, rustc + " (" + strings.TrimSpace(version) + ") has no standard library for wasm"}
}

// A cargoMessage is a line that cargo prints.
type cargoMessage struct {
	Reason  string
	Target  struct{ Kind []string }
	Message struct{ Rendered string }
	// Filenames are what a package was compiled to.
	Filenames []string
}

// cargo compiles a package, in the folder that is cargo's own, and copies the module.
func (s Source) cargo(ctx context.Context, target, out string) error {
	cargo, err := s.find("cargo")
	if err != nil {
		return err
	}
	said, err := s.run(ctx, cargo, "build", "--release", "--target="+target, "--message-format=json,json-diagnostic-short")
	module, text := readCargo(said)
	if failed := (*Failure)(nil); errors.As(err, &failed) {
		failed.Output = text + strings.TrimSuffix(failed.Output, said)
		failed.Messages = messages(failed.Output, err)
		return failed
	}
	if err != nil {
		return err
	}
	if module == "" {
		return &Failure{Messages: []string{`the package gives no wasm module: write crate-type = ["cdylib"] below [lib] in ` + cargoFile}, Output: text}
	}
	return copyFile(out, module)
}

// readCargo finds the module and the compiler's words in what cargo printed. The package itself comes last.
func readCargo(said string) (module, text string) {
	for d := json.NewDecoder(strings.NewReader(said)); ; {
		var m cargoMessage
		if d.Decode(&m) != nil {
			return module, text
		}
		text += m.Message.Rendered
		i := slices.IndexFunc(m.Filenames, func(name string) bool { return strings.HasSuffix(name, ".wasm") })
		if i >= 0 {
			module = m.Filenames[i]
		}
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

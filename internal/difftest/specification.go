package difftest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A specification is the modules of the WebAssembly specification's tests, those
// that are not valid among them, as they lie in wazero's module.
type specification struct {
	names   []string
	modules [][]byte
}

// readSpecification finds them by the go command.
func readSpecification(ctx context.Context) (*specification, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		return nil, fmt.Errorf("difftest: finding wazero's module: %w", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	s := &specification{}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		wasm, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		s.names, s.modules = append(s.names, name), append(s.modules, wasm)
		return err
	})
	if err == nil && len(s.names) == 0 {
		err = fmt.Errorf("difftest: there are no modules in %s", root)
	}
	return s, err
}

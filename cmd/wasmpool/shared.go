package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// sources returns what --shared and --shared-tree name. It looks at nothing but the flags, so that
// all ranks agree.
func (f *poolFlags) sources() (map[string]executor.Source, error) {
	all := map[string]executor.Source{}
	for _, flag := range []struct {
		name  string
		texts []string
		of    func(executor.Source) executor.Source
	}{
		{"--shared", f.shared, func(s executor.Source) executor.Source { return s }},
		{"--shared-tree", f.trees, executor.Source.AsTree},
	} {
		for _, text := range flag.texts {
			name, file, ok := strings.Cut(text, "=")
			if !ok || file == "" {
				return nil, fmt.Errorf("%s %q: want NAME=FILE, such as weights=model/weights.bin", flag.name, text)
			}
			if err := host.CheckSharedName(name); err != nil {
				return nil, fmt.Errorf("%s %q: %w", flag.name, text, err)
			}
			if _, twice := all[name]; twice {
				return nil, fmt.Errorf("%s %q: there is a shared input %s already", flag.name, text, name)
			}
			all[name] = flag.of(executor.FromFile(file))
		}
	}
	return all, nil
}

// sharedMark stands behind a task's name in what results are of, and tells apart what was shared into its calls.
func sharedMark(ex *executor.Executor) string {
	all := ex.Shared()
	if len(all) == 0 {
		return ""
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%s %t %x\n", name, all[name].Tree(), all[name].Digest())
	}
	return "%" + hex.EncodeToString(h.Sum(nil)[:4])
}

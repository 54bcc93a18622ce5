package wasmtasks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// buildVersion is part of every key. Change it when Build makes other bytes of
// the same sources.
const buildVersion = "wasmpool build 2"

// sources is what a module is built from.
type sources struct {
	dir      string
	env      []byte      // the settings of the go command that matter
	packages []goPackage // those outside the standard library; the module's own is last
	key      string      // a digest of all that the result depends on
}

// A goPackage is one entry of go list.
type goPackage struct {
	Dir, ImportPath, Name     string
	Doc                       string
	Standard                  bool
	DefaultGODEBUG            string
	GoFiles, EmbedFiles       []string
	SFiles, HFiles, SysoFiles []string
	Module                    *struct{ GoMod, GoVersion string }
}

const (
	listFields = "-json=Dir,ImportPath,Name,Doc,Standard,DefaultGODEBUG,GoFiles,EmbedFiles,SFiles,HFiles,SysoFiles,Module"
	envFields  = "GOVERSION GOFLAGS GOEXPERIMENT GOWASM GOFIPS140"
)

// listSources asks the go command what the package in dir is made of.
func listSources(ctx context.Context, dir string) (*sources, error) {
	s := &sources{dir: dir}
	out, err := runGo(ctx, dir, slices.Concat([]string{"list", "-deps", listFields, "-buildmode=default"}, portable, []string{"."})...)
	if err != nil {
		return nil, err
	}
	if s.packages, err = decodePackages(out); err != nil {
		return nil, err
	}
	if own := s.own(); own.Name != "main" {
		return nil, fmt.Errorf("a task module is package main, with functions marked //go:wasmexport; this is package %s", own.Name)
	}
	if s.env, err = runGo(ctx, dir, append([]string{"env", "-json"}, strings.Fields(envFields)...)...); err != nil {
		return nil, err
	}
	s.key, err = s.hash()
	return s, err
}

func decodePackages(list []byte) ([]goPackage, error) {
	var packages []goPackage
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading go list: %w", err)
		}
		if !p.Standard {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("go list names no package")
	}
	return packages, nil
}

// own returns the package that is built: go list names it after all that it
// imports.
func (s *sources) own() *goPackage { return &s.packages[len(s.packages)-1] }

// hash makes the key.
func (s *sources) hash() (string, error) {
	h := sha256.New()
	own := s.own()
	fmt.Fprintf(h, "%s\n%s\n%s\n", buildVersion, s.env, own.DefaultGODEBUG)
	if own.Module != nil && own.Module.GoMod != "" {
		// The versions they name become part of the binary.
		mod := own.Module.GoMod
		if err := hashFiles(h, filepath.Dir(mod), filepath.Base(mod)); err != nil {
			return "", err
		}
		if err := hashFiles(h, filepath.Dir(mod), "go.sum"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	for _, p := range s.packages {
		fmt.Fprintf(h, "package %s\n", p.ImportPath)
		if p.Module != nil {
			fmt.Fprintf(h, "go %s\n", p.Module.GoVersion)
		}
		if err := hashFiles(h, p.Dir, slices.Concat(p.GoFiles, p.EmbedFiles, p.SFiles, p.HFiles, p.SysoFiles)...); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFiles(h hash.Hash, dir string, names ...string) error {
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "file %s %d\n", name, len(data))
		h.Write(data)
	}
	return nil
}

package toolchain

import (
	"context"
	"os"
	"path/filepath"
)

// asConfig may lie beside AssemblyScript files, and has options for the compiler.
const asConfig = "asconfig.json"

// compileAssemblyScript compiles by the asc that npm has installed for the folder or one around it, or the one on the PATH.
func compileAssemblyScript(ctx context.Context, s Source, out string) error {
	asc, err := s.asc()
	if err != nil {
		return err
	}
	args := []string{s.Files[0], "--baseDir", s.Dir, "--outFile", out}
	if _, err := os.Stat(filepath.Join(s.Dir, asConfig)); err != nil {
		// An error of the program traps then; it would call what no pool has.
		args = append(args, "-O3", "--use", "abort=")
	}
	_, err = s.run(ctx, asc, args...)
	return err
}

func (s Source) asc() (string, error) {
	for dir := s.Dir; ; dir = filepath.Dir(dir) {
		asc := filepath.Join(dir, "node_modules", ".bin", "asc")
		if _, err := os.Stat(asc); err == nil {
			return s.find(asc)
		}
		if dir == filepath.Dir(dir) {
			return s.find("asc")
		}
	}
}

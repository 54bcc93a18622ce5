package toolchain

import (
	"context"
	"slices"
	"strings"
)

// compileZig keeps Zig's checks, which end a call where its result would be wrong.
func compileZig(ctx context.Context, s Source, out string) error {
	zig, err := s.find("zig")
	if err != nil {
		return err
	}
	version, err := s.run(ctx, zig, "version")
	if err != nil {
		return err
	}
	tasks := []string{"build-exe", "-fno-entry", "-rdynamic"}
	if strings.HasPrefix(version, "0.11.") {
		tasks = []string{"build-lib", "-dynamic", "-rdynamic"} // which other versions make a shared library of
	}
	compile := func(how []string) func() error {
		return func() error {
			_, err := s.run(ctx, zig, slices.Concat(how, []string{s.Files[0], "-target", "wasm32-wasi", "-O", "ReleaseSafe", "-fstrip", "--color", "off", "-femit-bin=" + out})...)
			return err
		}
	}
	return s.tasksOrCommand(out, "export fn", compile(tasks), compile([]string{"build-exe"}))
}

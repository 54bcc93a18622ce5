package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version and how this command was built",
		Example: `  wasmpool version`,
		Args:    argCount(0, 0, ""),
		RunE:    a.onRoot(a.version),
	}
}

func (a *app) version(context.Context, []string) error {
	shape, library := "local slots only (-tags mpi adds MPI)", "none"
	if mpi.Built {
		shape, library = "local slots and MPI", mpi.Version()
	}
	_, err := fmt.Fprintf(a.out, "wasmpool %s\nbuild    %s\nmpi      %s\ngo       %s %s/%s\nwazero   %s\n",
		wasmpool.Version, shape, library, runtime.Version(), runtime.GOOS, runtime.GOARCH,
		dependency("github.com/tetratelabs/wazero"))
	return err
}

// dependency returns the version of a module that this command was built with.
func dependency(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}

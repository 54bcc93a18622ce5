// This program runs the Lua program that is behind -e, which must be its first argument. That finds a module cjson.
package main

import (
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
)

func main() {
	if len(os.Args) < 3 || os.Args[1] != "-e" {
		fmt.Fprintln(os.Stderr, "usage: lua -e PROGRAM")
		os.Exit(2)
	}
	state := lua.NewState()
	defer state.Close()
	state.PreloadModule("cjson", loadJSON)
	if err := state.DoString(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

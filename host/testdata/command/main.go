// Command command is the WASI program that the tests of package host run.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch string(in) {
	case "exit":
		fmt.Fprintln(os.Stderr, "it went wrong")
		os.Exit(3)
	case "silent":
		os.Exit(4)
	case "exit0":
		fmt.Print("left early")
		os.Exit(0)
	case "panic":
		panic("oh no")
	}
	fmt.Printf("%d args %q stdin %d bytes", len(os.Args), os.Args, len(in))
}

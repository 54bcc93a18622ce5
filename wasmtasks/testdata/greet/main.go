// Greet greets whom its input names. It is a WASI command.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	name, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("Hello, %s!\n", name)
}

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
	case "files":
		files()
		return
	case "panic":
		panic("oh no")
	}
	fmt.Printf("%d args %q stdin %d bytes", len(os.Args), os.Args, len(in))
}

// files says what it finds in memory, and leaves more there.
func files() {
	found, err := os.ReadDir("/")
	if err != nil {
		panic(err)
	}
	for _, f := range found {
		fmt.Printf("%v\n", f)
	}
	for _, err := range []error{
		os.MkdirAll("/tmp/one/two", 0o700), os.WriteFile("/tmp/one/two/file", make([]byte, 1_000_000), 0o600),
		os.Rename("/tmp/one/two/file", "/tmp/moved"), os.Remove("/tmp/one/two"), os.Truncate("/tmp/moved", 999_999),
	} {
		if err != nil {
			panic(err)
		}
	}
	moved, err := os.ReadFile("/tmp/moved")
	if err != nil {
		panic(err)
	}
	info, err := os.Stat("/tmp/moved")
	if err != nil {
		panic(err)
	}
	fmt.Println(len(moved), info.ModTime().UnixNano(), os.Symlink("/tmp/moved", "/tmp/link"))
	if err := os.WriteFile("result", []byte("the result"), 0o600); err != nil { // in the working folder
		panic(err)
	}
}

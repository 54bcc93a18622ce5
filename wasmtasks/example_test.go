package wasmtasks_test

import (
	"context"
	"fmt"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// adder is the binary of
//
//	(module (func (export "add") (param i32 i32) (result i32)
//		local.get 0 local.get 1 i32.add))
var adder = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f" +
	"\x03\x02\x01\x00" +
	"\x07\x07\x01\x03add\x00\x00" +
	"\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b")

func ExampleBuild() {
	m, err := wasmtasks.Build(context.Background(), "testdata/stars")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, task := range m.Tasks() {
		fmt.Printf("%v %s: %q\n", task.Kind, task.Name, task.Doc)
	}
	// Output:
	// raw add: "add adds two numbers."
	// task brightest: "Brightest finds the brightest star."
	// task count: ""
	// raw half: "half halves a number."
	// task reverse: "reverse turns a text around."
	// task same: "Same returns its argument."
}

func ExampleLoad() {
	m, err := wasmtasks.Load("math", adder)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, task := range m.Tasks() {
		fmt.Println(task.Name, task.Kind, task.Signature)
	}
	// Output: add raw (i32, i32) -> i32
}

func ExampleTable() {
	m, err := wasmtasks.Load("math", adder)
	if err != nil {
		fmt.Println(err)
		return
	}
	var table wasmtasks.Table
	if err := table.Add(m); err != nil {
		fmt.Println(err)
		return
	}
	found, task, err := table.Lookup("add")
	fmt.Println(found.Name(), task.Name, err)
	_, _, err = table.Lookup("ad")
	fmt.Println(err)
	// Output:
	// math add <nil>
	// unknown task "ad" (did you mean "add"? known: add)
}

// Package set holds the mathematics of the julia example. It is an ordinary
// package: the task imports it and is compiled to wasm, the program imports it
// for the argument's encoding, and the tests for the same picture natively.
package set

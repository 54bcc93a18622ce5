// Package examples holds programs to copy from, a folder each, and a test that
// uses wasmpool as another module does.
package examples

// Package guesttest makes task modules for tests.
package guesttest

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Module returns the task module that is written as text; see [unittest.Assemble].
func Module(t testing.TB, name, wat string) *wasmtasks.Module {
	t.Helper()
	m, err := wasmtasks.Load(name, unittest.Assemble(t, wat))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Build returns the task module of the Go package in a folder.
func Build(t testing.TB, dir string) *wasmtasks.Module {
	t.Helper()
	m, err := wasmtasks.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Package lib holds functions and a task of their own.
package lib

import "slices"

// Reverse turns a text around.
func Reverse(text []byte) ([]byte, error) {
	slices.Reverse(text)
	return text, nil
}

// Same returns its argument.
func Same[T any](v T) (T, error) { return v, nil }

// half halves a number.
//
//go:wasmexport half
func half(f float64) float64 { return f / 2 }

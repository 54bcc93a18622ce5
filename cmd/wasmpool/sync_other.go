//go:build !linux

package main

// syncFiles does nothing here: --resume sees which files a crash of the machine took.
func syncFiles(string) error { return nil }

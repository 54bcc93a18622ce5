//go:build !unix

package memo

// syncFolder does nothing: here a folder cannot be opened, and its names are written with the files.
func syncFolder(string) error { return nil }

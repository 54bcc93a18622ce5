//go:build !unix

package jobsocket

import "errors"

// folders returns none: here nothing says whose a folder is.
func folders() []string { return nil }

func makeFolder(string) error { return errors.ErrUnsupported }

func checkFolder(string) error { return errors.ErrUnsupported }

func isTaken(error) bool { return false }

func isRefused(error) bool { return false }

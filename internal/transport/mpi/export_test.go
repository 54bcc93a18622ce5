//go:build mpi

package mpi

// CanRead is whether this system lets processes use each other's memory.
func CanRead() bool { return canRead() }

// Loans returns with how many ranks payloads go by loans.
func Loans(e Endpoint) int {
	n := 0
	for _, with := range e.(*endpoint).loans.with { //nolint:forcetypeassert // there is no other
		if with {
			n++
		}
	}
	return n
}

//go:build !mpi || !linux

package confine

// Built reports whether this program can confine itself.
const Built = false

// Apply says that this program, or this system, can take nothing away.
func Apply(Rules) (lacks []string, err error) {
	return []string{"nothing is taken away: only Linux can, in a build with the tag mpi"}, nil
}

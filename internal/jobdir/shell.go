package jobdir

// Shell is a script for /bin/sh that runs around the program of a rank. It writes the
// rank's notes; on a host where the job's folder is not, it writes nothing. It outlives the
// signals that launchers send to a rank, which are the program's, and keeps to itself what
// shells say about a killed program.
const Shell = `rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${SLURM_PROCID:-${PMIX_RANK:-0}}}}
note() { echo "$2" >"$WASMPOOL_JOB_DIR/$1.$rank.part" && mv "$WASMPOOL_JOB_DIR/$1.$rank.part" "$WASMPOOL_JOB_DIR/$1.$rank"; }
trap : HUP INT TERM USR1 USR2
exec 3>&2 2>/dev/null
note shell "$$"
note space "$PMIX_NAMESPACE"
(exec "$@" 2>&3 3>&-)
code=$?
note exit "$code"
exit "$code"`

// ShellCommand returns the command line of a rank that runs the program within [Shell].
func ShellCommand(program string, args []string) []string {
	return append([]string{"/bin/sh", "-c", Shell, "sh", program}, args...)
}

package executor

import (
	"os"
	"testing"
)

// TestWithoutReach checks what becomes of a user's choice of UCX transports.
func TestWithoutReach(t *testing.T) {
	t.Parallel()
	const none = "^cma,knem,xpmem"
	for tls, want := range map[string]string{
		"": none, "all": none, "rc,all": none, "cma": none,
		"^ud": "^ud,cma,knem,xpmem", none: none + ",cma,knem,xpmem",
		"rc,sm": "rc,posix,sysv", "shm,self": "posix,sysv,self", "mm": "posix,sysv",
		"posix,cma,ib": "posix,ib", "tcp": "tcp",
	} {
		if got := withoutReach(tls); got != want {
			t.Errorf("of %q remains %q, want %q", tls, got, want)
		}
	}
}

// TestCopyByMessages checks that UCX is told, and told no more than the user has not.
func TestCopyByMessages(t *testing.T) {
	for _, given := range []string{"", "rc,sm"} {
		for _, name := range []string{"OMPI_MCA_btl_vader_single_copy_mechanism", "OMPI_MCA_smsc", "MPIR_CVAR_CH4_CMA_ENABLE", "UCX_TLS", "UCX_POSIX_USE_PROC_LINK", "UCX_WARN_INVALID_CONFIG"} {
			t.Setenv(name, "") // so that it is as before in the end
			os.Unsetenv(name)  //nolint:errcheck // it is a name
		}
		want, warns := "^cma,knem,xpmem", "n"
		if given != "" {
			t.Setenv("UCX_TLS", given)
			want, warns = "rc,posix,sysv", ""
		}
		if err := copyByMessages(); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv("UCX_TLS"); got != want {
			t.Errorf("UCX_TLS is %q, want %q", got, want)
		}
		if got := os.Getenv("UCX_WARN_INVALID_CONFIG"); got != warns {
			t.Errorf("UCX_WARN_INVALID_CONFIG is %q, want %q", got, warns)
		}
	}
}

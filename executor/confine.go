package executor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/confine"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// ErrNotConfined matches the error of a pool that should confine its workers and
// cannot: see [Config.Confine].
var ErrNotConfined = errors.New("executor: Config.Confine needs worker ranks")

// checkConfine finds calls that would run beside the root's own code.
func (c Config) checkConfine(l launcher) error {
	switch {
	case !c.Confine:
		return nil
	case !l.present:
		return fmt.Errorf("%w: here the calls would run in the root's own process; start the program on several ranks (wasmpool launch, mpirun, srun), or without Confine", ErrNotConfined)
	case c.RootSlots > 0:
		return fmt.Errorf("%w: %d calls at once would run in the root's own process; leave RootSlots at 0", ErrNotConfined, c.RootSlots)
	}
	return nil
}

// copyByMessages tells MPI libraries not to let ranks of a node read and write each
// other's memory, which a confined one may not. It must come before MPI starts.
func copyByMessages() error {
	return errors.Join(
		os.Setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none"), // Open MPI 4
		os.Setenv("OMPI_MCA_smsc", "^cma,xpmem,knem"),                 // Open MPI 5
		os.Setenv("MPIR_CVAR_CH4_CMA_ENABLE", "0"),                    // MPICH 4.1
		copyByMessagesUCX(),
	)
}

// copyByMessagesUCX is copyByMessages for UCX, from 1.11 on, upon which Open MPI and MPICH may
// stand. The names are those of its docs/source/faq.md ("Which transports does UCX use?"),
// src/ucp/core/ucp_context.c and src/uct/sm/mm/posix/mm_posix.c; none of it could be tried here.
func copyByMessagesUCX() error {
	tls, given := os.LookupEnv("UCX_TLS")
	errs := []error{
		os.Setenv("UCX_TLS", withoutReach(tls)),

		// By their names in /dev/shm, not by /proc/PID/fd, which is closed to others.
		os.Setenv("UCX_POSIX_USE_PROC_LINK", "n"),
	}
	if _, wanted := os.LookupEnv("UCX_WARN_INVALID_CONFIG"); !given && !wanted {
		errs = append(errs, os.Setenv("UCX_WARN_INVALID_CONFIG", "n")) // else it warns of what it has not got, before 1.18
	}
	return errors.Join(errs...)
}

// ucxReach are the transports of UCX by which one process reads and writes the memory of another.
var ucxReach = []string{"cma", "knem", "xpmem"}

// withoutReach takes those out of a list as it may stand in UCX_TLS: one of names, or, behind a
// ^, of what is not to be used.
func withoutReach(tls string) string {
	without := strings.Join(ucxReach, ",")
	if strings.HasPrefix(tls, "^") {
		return tls + "," + without
	}
	var names []string
	for name := range strings.SplitSeq(tls, ",") {
		switch {
		case name == "all":
			return "^" + without
		case name == "sm" || name == "shm" || name == "mm": // which stand for those, too
			names = append(names, "posix", "sysv")
		case name != "" && !slices.Contains(ucxReach, name):
			names = append(names, name)
		}
	}
	if names == nil {
		return "^" + without
	}
	return strings.Join(names, ",")
}

// newHost returns the host of a rank, and what ends what belongs to it.
func newHost(cfg Config, worker bool) (*host.Host, func() error, error) {
	if cfg.Confine && worker {
		return confinedHost(cfg)
	}
	h, err := host.New(cfg.Sandbox)
	if err != nil {
		return nil, nil, err
	}
	return h, h.Close, nil
}

// confinedHost returns a host for a worker that will be confined, and what ends the
// process that compiles for it.
func confinedHost(cfg Config) (*host.Host, func() error, error) {
	compiler, err := host.StartCompiler(cfg.Sandbox)
	if err != nil {
		return nil, nil, err
	}
	cfg.Sandbox.Compiler = compiler
	h, err := host.New(cfg.Sandbox)
	if err != nil {
		return nil, nil, errors.Join(err, compiler.Close())
	}
	return h, func() error { return errors.Join(h.Close(), compiler.Close()) }, nil
}

// confined returns ep for a worker that confines itself when the root's first frame
// comes, so before any call: by then all connections of the two stand.
func confined(ep transport.Endpoint, cfg Config, cacheDir string) transport.Endpoint {
	rules := confine.Rules{Read: []string{cacheDir}}
	for _, g := range cfg.Sandbox.Grants {
		for _, folder := range g.Folders {
			rules.Read = append(rules.Read, folder)
		}
	}
	return &confiner{Wrapper: transport.Wrapper{Endpoint: ep}, apply: func() error {
		lacks, err := confine.Apply(rules)
		for _, lack := range lacks {
			cfg.Logger.Warn("executor: a worker is confined in part only", "rank", ep.Rank(), "lack", lack)
		}
		if err == nil && afterConfine != nil {
			afterConfine()
		}
		return err
	}}
}

// afterConfine is called on a worker once it is confined; nil but in tests.
var afterConfine func()

// A confiner is the endpoint of a worker that is not confined yet.
type confiner struct {
	transport.Wrapper
	apply   func() error // nil afterwards
	failure error
	handler transport.Handler // of the Poll under way
}

// Poll implements [transport.Endpoint]. A worker that cannot be confined runs nothing.
func (c *confiner) Poll(h transport.Handler) (int, error) {
	if c.apply == nil && c.failure == nil {
		return c.Endpoint.Poll(h)
	}
	c.handler = h
	n, err := c.Endpoint.Poll(c)
	return n, errors.Join(c.failure, err)
}

// Frame implements [transport.Handler].
func (c *confiner) Frame(from int, frame []byte) {
	if c.apply != nil {
		c.failure = c.apply()
		c.apply = nil
	}
	if c.failure == nil {
		c.handler.Frame(from, frame)
	}
}

// Lost implements [transport.Handler].
func (c *confiner) Lost(rank int, err error) { c.handler.Lost(rank, err) }

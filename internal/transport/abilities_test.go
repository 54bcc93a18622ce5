package transport_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// A plain endpoint can do nothing but what all can.
type plain struct{ transport.Endpoint }

// A lending endpoint can lend, too.
type lending struct{ transport.Endpoint }

func (lending) Lend(int, uint32, []byte) uint64 { return 7 }
func (lending) Reclaim(uint32)                  {}

// A wrapping endpoint adds nothing.
type wrapping struct{ transport.Wrapper }

func wrap(ep transport.Endpoint) transport.Endpoint {
	return wrapping{transport.Wrapper{Endpoint: ep}}
}

func TestAs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		ep   transport.Endpoint
		want bool
	}{
		{"none", nil, false},
		{"one that cannot", plain{}, false},
		{"one that can", lending{}, true},
		{"one that can, wrapped", wrap(wrap(lending{})), true},
		{"one that cannot, wrapped", wrap(plain{}), false},
		{"a wrapper of nothing", wrap(nil), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			lender, found := transport.As[transport.Lender](tc.ep)
			if found != tc.want || (lender != nil) != tc.want {
				t.Fatalf("As finds %v, %t, want %t", lender, found, tc.want)
			}
			if found && lender.Lend(1, 0, nil) != 7 {
				t.Error("As found another lender")
			}
			if _, found := transport.As[transport.Waker](tc.ep); found {
				t.Error("As found a waker")
			}
		})
	}
}

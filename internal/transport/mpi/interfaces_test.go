//go:build mpi

package mpi

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestRootAddrs(t *testing.T) {
	var node []attachment
	for _, text := range []string{
		"lo 127.0.0.1/8", "lo ::1/128", "eth0 192.0.2.7/24", "ib0 10.1.0.7/16", "docker0 172.17.0.1/16", "ib0 2001:db8::7/64", "eth0 fe80::7/64",
	} {
		name, prefix, _ := strings.Cut(text, " ")
		node = append(node, attachment{name, netip.MustParsePrefix(prefix)})
	}
	const (
		own     = "192.0.2.7/24,10.1.0.7/16,172.17.0.1/16,2001:db8::7/64"
		near    = "10.1.0.8/16,172.17.0.1/16"
		both    = "198.51.100.8/24,10.1.0.9/16,2001:db8::9/64"
		distant = "203.0.113.8/24,172.17.0.1/16"
		all     = "192.0.2.7 10.1.0.7 172.17.0.1 2001:db8::7"
	)
	for _, tt := range []struct {
		name  string
		peers []string
		env   []string // names and values
		want  string
		fails string
	}{
		{name: "a network that all share", peers: []string{own, own, near, near}, want: "10.1.0.7"},
		{name: "two of them", peers: []string{own, near, both}, want: "10.1.0.7 2001:db8::7"},
		{name: "a node behind routers", peers: []string{own, near, distant}, want: all},
		{name: "a node that cannot say", peers: []string{own, near, ""}, want: all},
		{name: "an interface", peers: []string{own, near}, env: []string{interfacesVar, "eth0"}, want: "192.0.2.7"},
		{name: "networks, in their order", peers: []string{own, near}, env: []string{interfacesVar, "2001:db8::/32, 10.0.0.0/8"}, want: "2001:db8::7 10.1.0.7"},
		{name: "loopback, if somebody wants it", peers: []string{own, own}, env: []string{interfacesVar, "lo"}, want: "127.0.0.1 ::1"},
		{name: "one that is not there", peers: []string{own, near}, env: []string{interfacesVar, "eth7"}, fails: `WASMPOOL_INTERFACES is "eth7", but the root's node has none of that: it has lo 127.0.0.1/8`},
		{name: "what Open MPI was told", peers: []string{own, near}, env: []string{includeVar, "eth0"}, want: "192.0.2.7"},
		{name: "our own goes first", peers: []string{own, near}, env: []string{includeVar, "eth0", interfacesVar, "ib0"}, want: "10.1.0.7 2001:db8::7"},
		{name: "what Open MPI was told not to", peers: []string{own, both}, env: []string{excludeVar, "lo,10.1.0.0/16"}, want: "2001:db8::7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{}
			for i := 0; i < len(tt.env); i += 2 {
				env[tt.env[i]] = tt.env[i+1]
			}
			got, err := rootAddrs(node, tt.peers, func(name string) string { return env[name] })
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %v and %v, want an error with %q", got, err, tt.fails)
				}
				return
			}
			if text := strings.Trim(fmt.Sprint(got), "[]"); err != nil || text != tt.want {
				t.Errorf("got %s and %v, want %s", text, err, tt.want)
			}
		})
	}
	if got, err := rootAddrs(node[:2], []string{""}, func(string) string { return "" }); err == nil {
		t.Errorf("a node with loopback only listens at %v", got)
	}
}

//go:build mpi

package mpi

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// interfacesVar names the environment variable that says, on the root, where the
// workers of other nodes reach its lifeline: names of interfaces and networks
// ("eth0,10.1.0.0/16"), as for Open MPI's btl_tcp_if_include, which counts where it is
// not set, as btl_tcp_if_exclude does after that. Otherwise it is the networks that the
// root shares with the other nodes.
const interfacesVar = "WASMPOOL_INTERFACES"

const (
	includeVar = "OMPI_MCA_btl_tcp_if_include"
	excludeVar = "OMPI_MCA_btl_tcp_if_exclude"
)

const (
	// mostAddrs is how many addresses the root listens at: they must fit into the card.
	mostAddrs = 8

	// networksLen is how much a rank tells of the networks of its node.
	networksLen = 512
)

// An attachment is an address of this node, with the network that it belongs to and
// the interface that has it.
type attachment struct {
	name   string
	prefix netip.Prefix // the address and the length of the network's prefix
}

// attachments lists the addresses of this node.
func attachments() ([]attachment, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []attachment
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue // it is about to go
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, attachment{i.Name, p})
			}
		}
	}
	return list, nil
}

// outward returns the attachments by which another node could reach this one.
func outward(list []attachment) []attachment {
	return slices.DeleteFunc(slices.Clone(list), func(a attachment) bool { return !a.prefix.Addr().IsGlobalUnicast() })
}

// named returns the attachments that a list names, by interface or network, in the
// order of the list.
func named(list []attachment, names string) []attachment {
	var found []attachment
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		network, err := netip.ParsePrefix(name)
		for _, a := range list {
			if (a.name == name || err == nil && network.Contains(a.prefix.Addr())) && !slices.Contains(found, a) && !a.prefix.Addr().IsLinkLocalUnicast() {
				found = append(found, a)
			}
		}
	}
	return found
}

// rootAddrs returns where the root listens. peers is what [networks] said on each rank.
func rootAddrs(list []attachment, peers []string, getenv func(string) string) ([]netip.Addr, error) {
	chosen := named(list, getenv(interfacesVar))
	if want := getenv(interfacesVar); want != "" && len(chosen) == 0 {
		return nil, fmt.Errorf("mpi: %s is %q, but the root's node has none of that: it has %s", interfacesVar, want, describe(list))
	}
	if len(chosen) == 0 {
		chosen = named(list, getenv(includeVar))
	}
	if len(chosen) == 0 {
		without := named(list, getenv(excludeVar))
		chosen = outward(slices.DeleteFunc(slices.Clone(list), func(a attachment) bool { return slices.Contains(without, a) }))
		chosen = shared(chosen, peers)
	}
	var addrs []netip.Addr
	for _, a := range chosen[:min(len(chosen), mostAddrs)] {
		addrs = append(addrs, a.prefix.Addr())
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("mpi: the root's node has no network address the other nodes could reach (%s names one): it has %s", interfacesVar, describe(list))
	}
	return addrs, nil
}

func describe(list []attachment) string {
	var words []string
	for _, a := range list {
		words = append(words, a.name+" "+a.prefix.String())
	}
	return strings.Join(words, ", ")
}

// shared returns those of the root's attachments that are to a network in which
// another node is. Where a node is in none, it is reached through routers, by any.
// peers begins with the root itself; what its own node says is the same.
func shared(list []attachment, peers []string) []attachment {
	used := make([]bool, len(list))
	for _, networks := range peers {
		if networks == peers[0] {
			continue
		}
		found := false
		for text := range strings.SplitSeq(networks, ",") {
			p, err := netip.ParsePrefix(text)
			for i, a := range list {
				// An address that both have is of a network that each has for itself.
				if err == nil && a.prefix != p && a.prefix.Masked() == p.Masked() {
					used[i], found = true, true
				}
			}
		}
		if !found {
			return list
		}
	}
	var some []attachment
	for i, a := range list {
		if used[i] {
			some = append(some, a)
		}
	}
	return some
}

// networks says, for the root, to which networks this node is attached.
func networks() [networksLen]byte {
	var text [networksLen]byte
	list, err := attachments()
	if err != nil {
		return text // the root then takes all of its own
	}
	n := 0
	for _, a := range outward(list) {
		word := a.prefix.String() + ","
		if n+len(word) < len(text) {
			n += copy(text[n:], word)
		}
	}
	return text
}

// listenAddrs chooses where the root listens, from what the ranks said.
func listenAddrs(said []byte) ([]netip.Addr, error) {
	var peers []string
	for text := range slices.Chunk(said, networksLen) {
		words, _, _ := bytes.Cut(text, []byte{0})
		peers = append(peers, strings.TrimSuffix(string(words), ","))
	}
	list, err := attachments()
	if err != nil {
		return nil, fmt.Errorf("mpi: looking for the root's networks: %w", err)
	}
	return rootAddrs(list, peers, os.Getenv)
}

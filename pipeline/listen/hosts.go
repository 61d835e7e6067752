package listen

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Hosts are the names by which clients may call a listener. A page in a browser
// that lets its own name point at this machine could else call it as if it were
// its own server.
type Hosts struct{ names map[string]bool }

// NewHosts returns the names of a listener that is bound to an address: localhost,
// the address that a client connected to, and names. Beyond the loopback interface
// all are taken, unless there are names.
func NewHosts(bound net.Addr, names []string) *Hosts {
	if address, ok := bound.(*net.TCPAddr); len(names) == 0 && (!ok || !address.IP.IsLoopback()) {
		return nil
	}
	h := &Hosts{names: map[string]bool{"localhost": true}}
	for _, name := range names {
		h.names[plainName(name)] = true
	}
	return h
}

// Take tells whether the request calls the listener by one of its names. A nil
// Hosts takes all.
func (h *Hosts) Take(req *http.Request) bool {
	if h == nil || req.Host == "" { // no browser leaves it out
		return true
	}
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = plainName(host)
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		local, _ := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		return address.Unmap().IsLoopback() || h.names[host] ||
			local != nil && address.Unmap() == local.AddrPort().Addr().Unmap()
	}
	return h.names[host]
}

// plainName is a name without what makes no difference.
func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

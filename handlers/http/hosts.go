package http

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// hosts is what allowed_hosts lists.
type hosts struct {
	names    []string // lower case, without a dot at the end
	suffixes []string // ".example.com" for *.example.com
	networks []netip.Prefix
}

func parseHosts(list []string) (hosts, error) {
	var h hosts
	for _, item := range list {
		name := normalHost(item)
		if network, err := netip.ParsePrefix(name); err == nil {
			h.networks = append(h.networks, network.Masked())
		} else if address, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			address = address.Unmap()
			h.networks = append(h.networks, netip.PrefixFrom(address, address.BitLen()))
		} else if domain, ok := strings.CutPrefix(name, "*."); ok && isHostName(domain) {
			h.suffixes = append(h.suffixes, "."+domain)
		} else if isHostName(name) {
			h.names = append(h.names, name)
		} else {
			return hosts{}, fmt.Errorf("%q is not a host", item)
		}
		if name == "localhost" {
			h.networks = append(h.networks, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
		}
	}
	return h, nil
}

func normalHost(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
}

func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '.' && r != '_' })
}

// allow tells whether a URL may name this host.
func (h hosts) allow(host string) bool {
	host = normalHost(host)
	if address, err := netip.ParseAddr(host); err == nil {
		return h.lists(address.Unmap())
	}
	for _, name := range h.names {
		if host == name {
			return true
		}
	}
	for _, suffix := range h.suffixes {
		if strings.HasSuffix(host, suffix) && isHostName(host) {
			return true
		}
	}
	return false
}

func (h hosts) lists(address netip.Addr) bool {
	for _, network := range h.networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// guardedDialer judges the address that is dialled, whatever name led to it.
type guardedDialer struct {
	net.Dialer
	// open tells that the host depends on the record, so that addresses inside
	// of this machine's networks must be listed.
	open  bool
	hosts hosts
}

func newDialer(timeout time.Duration, open bool, allowed hosts) *guardedDialer {
	d := &guardedDialer{open: open, hosts: allowed}
	d.Timeout = timeout
	d.Control = func(_, address string, _ syscall.RawConn) error { return d.judge(address) }
	return d
}

func (d *guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, address)
}

func (d *guardedDialer) judge(address string) error {
	resolved, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %q is not allowed", address)
	}
	ip := embedded(resolved.Addr().WithZone(""))
	switch {
	case isMetadata(ip):
		return fmt.Errorf("%s is an address of machine metadata, which is always denied", ip)
	case d.open && isInside(ip) && !d.hosts.lists(ip):
		return fmt.Errorf("%s is not a public address and not one of allowed_hosts", ip)
	}
	return nil
}

// embedded is the IPv4 address that an IPv6 one stands for: v4-mapped, NAT64 or
// 6to4.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

func isMetadata(ip netip.Addr) bool {
	switch ip.String() {
	case "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192",
		"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254":
		return true
	}
	return false
}

func isMetadataHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && isMetadata(embedded(ip.WithZone("")))
}

// isInside tells whether an address leads into this machine or its networks, or
// to no single machine.
func isInside(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return true
	}
	for _, reserved := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "fec0::/10"} {
		if netip.MustParsePrefix(reserved).Contains(ip) {
			return true
		}
	}
	return false
}

package http

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hosts is what allowed_hosts lists.
type hosts []host

// host is one item of allowed_hosts. Empty scheme and port stand for any.
type host struct {
	scheme, port string
	// name is in lower case, without a dot at the end; suffix is ".example.com"
	// for *.example.com. Both are empty for addresses alone.
	name, suffix string
	networks     []netip.Prefix
}

func parseHosts(list []string) (hosts, error) {
	var all hosts
	var wrong []string
	for _, item := range list {
		h, ok := parseHost(item)
		if !ok {
			wrong = append(wrong, strconv.Quote(item))
			continue
		}
		all = append(all, h)
	}
	switch last := len(wrong) - 1; {
	case last < 0:
		return all, nil
	case last == 0:
		return nil, fmt.Errorf("%s is not a host", wrong[0])
	default:
		return nil, fmt.Errorf("%s and %s are not hosts", strings.Join(wrong[:last], ", "), wrong[last])
	}
}

// parseHost reads [http[s]://]host[:port], where host is a name, *.domain, an
// address or a network, which has no port.
func parseHost(item string) (h host, ok bool) {
	text := strings.TrimSpace(item)
	if scheme, rest, has := strings.Cut(text, "://"); has {
		if !isWeb(scheme) {
			return h, false
		}
		h.scheme, text = strings.ToLower(scheme), rest
	}
	// What has more than one colon is an IPv6 address, and takes brackets before a
	// port.
	if strings.Contains(text, "]:") || strings.Count(text, ":") == 1 {
		var err error
		if text, h.port, err = net.SplitHostPort(text); err != nil || h.port == "" || !isPort(h.port) {
			return h, false
		}
	}
	name := normalHost(text)
	if network, err := netip.ParsePrefix(name); err == nil && h.port == "" {
		h.networks = []netip.Prefix{network.Masked()}
	} else if address, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		address = address.Unmap()
		h.networks = []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}
	} else if domain, ok := strings.CutPrefix(name, "*."); ok && isHostName(domain) {
		h.suffix = "." + domain
	} else if isHostName(name) {
		h.name = name
	} else {
		return h, false
	}
	if name == "localhost" {
		h.networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return h, true
}

func normalHost(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
}

func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '.' && r != '_' })
}

// allow tells whether a record may call this URL.
func (all hosts) allow(u *url.URL) bool {
	name := normalHost(u.Hostname())
	address, err := netip.ParseAddr(name)
	isAddress := err == nil
	for _, h := range all {
		switch {
		case h.scheme != "" && !strings.EqualFold(h.scheme, u.Scheme), h.port != "" && h.port != portOf(u):
		case isAddress && h.lists(address.Unmap()),
			!isAddress && h.name != "" && name == h.name,
			!isAddress && h.suffix != "" && strings.HasSuffix(name, h.suffix) && isHostName(name):
			return true
		}
	}
	return false
}

// portOf is a URL's port, also where it is that of the scheme.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	default:
		return "80"
	}
}

// reach tells whether a connection may go to an address that is not public.
func (all hosts) reach(to netip.AddrPort, ip netip.Addr) bool {
	return slices.ContainsFunc(all, func(h host) bool {
		return h.lists(ip) && (h.port == "" || h.port == strconv.Itoa(int(to.Port())))
	})
}

func (h host) lists(address netip.Addr) bool {
	return slices.ContainsFunc(h.networks, func(n netip.Prefix) bool { return n.Contains(address) })
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

// deniedError says that an address must not be called.
type deniedError string

func (e deniedError) Error() string { return string(e) }

func denied(format string, args ...any) error { return deniedError(fmt.Sprintf(format, args...)) }

func (d *guardedDialer) judge(address string) error {
	resolved, err := netip.ParseAddrPort(address)
	if err != nil {
		return denied("the address %q is not allowed", address)
	}
	ip := embedded(resolved.Addr().WithZone(""))
	switch {
	case isMetadata(ip):
		return denied("%s is an address of machine metadata, which is always denied", ip)
	case d.open && isInside(ip) && !d.hosts.reach(resolved, ip):
		return denied("%s is not a public address and not one of allowed_hosts", ip)
	}
	return nil
}

// embedded is the IPv4 address that an IPv6 one stands for: v4-mapped,
// v4-compatible, NAT64 or 6to4.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip),
		netip.MustParsePrefix("::/96").Contains(ip) && !ip.IsLoopback() && !ip.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:]))
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

func isMetadata(ip netip.Addr) bool {
	switch ip.String() {
	case "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16",
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
	for _, reserved := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b:1::/48", "100::/64", "2001:db8::/32", "fec0::/10",
	} {
		if netip.MustParsePrefix(reserved).Contains(ip) {
			return true
		}
	}
	return false
}

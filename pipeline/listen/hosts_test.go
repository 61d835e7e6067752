package listen_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/millrace/millrace/pipeline/listen"
)

func must(address string) netip.AddrPort { return netip.MustParseAddrPort(address) }

func TestHosts(t *testing.T) {
	bound := func(address string) net.Addr { return net.TCPAddrFromAddrPort(must(address)) }
	for _, c := range []struct {
		bound, local string
		names        []string
		host         string
		want         bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", nil, "localhost", true},
		{"[::1]:80", "[::1]:80", nil, "[::1]:80", true},
		{"[::1]:80", "[::1]:80", nil, "a.example", false},
		{"127.0.0.1:80", "127.0.0.1:80", nil, "10.0.0.1", false},
		{"127.0.0.1:80", "127.0.0.1:80", nil, "", true}, // HTTP/1.0, and no browser
		{"0.0.0.0:80", "10.0.0.1:80", nil, "a.example", true},
		{"0.0.0.0:80", "10.0.0.1:80", []string{"b.example"}, "a.example", false},
		{"0.0.0.0:80", "10.0.0.1:80", []string{"b.example"}, "B.example:80", true},
		{"0.0.0.0:80", "10.0.0.1:80", []string{"b.example"}, "10.0.0.1:80", true}, // as probes call
		{"0.0.0.0:80", "10.0.0.1:80", []string{"b.example"}, "10.0.0.2:80", false},
		{"0.0.0.0:80", "10.0.0.1:80", []string{"10.0.0.2"}, "10.0.0.2:80", true},
		{"[::]:80", "[::ffff:10.0.0.1]:80", []string{"b.example"}, "10.0.0.1", true},
	} {
		req := httptest.NewRequest("GET", "/", nil)
		req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, bound(c.local)))
		req.Host = c.host
		if got := listen.NewHosts(bound(c.bound), c.names).Take(req); got != c.want {
			t.Errorf("on %s with %q, %q: %v", c.bound, c.names, c.host, got)
		}
	}
}

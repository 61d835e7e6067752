package http

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
)

func TestDialledAddresses(t *testing.T) {
	for _, c := range []struct {
		address string
		listed  []string
		// open is the answer where records choose the host, fixed where the
		// file does.
		open, fixed bool
	}{
		{"93.184.216.34:80", nil, true, true},
		{"[2606:2800:220:1::1]:443", nil, true, true},
		{"127.0.0.1:80", nil, false, true},
		{"127.0.0.1:80", []string{"127.0.0.1"}, true, true},
		{"127.9.9.9:80", []string{"localhost"}, true, true},
		{"127.0.0.1:80", []string{"hooks.test"}, false, true},
		{"[::1]:80", nil, false, true},
		{"[::1]:80", []string{"[::1]"}, true, true},
		{"[::ffff:127.0.0.1]:80", nil, false, true},
		{"[64:ff9b::7f00:1]:80", nil, false, true},
		{"[2002:7f00:1::]:80", nil, false, true},
		{"10.1.2.3:80", nil, false, true},
		{"10.1.2.3:80", []string{"10.0.0.0/8"}, true, true},
		{"172.16.0.1:80", nil, false, true},
		{"192.168.0.1:80", nil, false, true},
		{"100.64.0.1:80", nil, false, true},
		{"169.254.1.1:80", nil, false, true},
		{"[fe80::1%eth0]:80", nil, false, true},
		{"[fd12::1]:80", nil, false, true},
		{"224.0.0.1:80", nil, false, true},
		{"0.0.0.0:80", nil, false, true},
		{"255.255.255.255:80", nil, false, true},
		{"169.254.169.254:80", []string{"169.254.0.0/16"}, false, false},
		{"[::ffff:169.254.169.254]:80", []string{"::/0"}, false, false},
		{"[fd00:ec2::254]:80", []string{"fd00::/8"}, false, false},
		{"168.63.129.16:80", []string{"168.63.129.16"}, false, false},
		{"[::127.0.0.1]:80", nil, false, true},
		{"[::169.254.169.254]:80", []string{"::/0"}, false, false},
		{"203.0.113.7:80", nil, false, true},
		{"[2001:db8::1]:80", nil, false, true},
		{"127.0.0.1:8443", []string{"localhost:8443"}, true, true},
		{"127.0.0.1:9092", []string{"localhost:8443"}, false, true},
		{"[::1]:8443", []string{"https://[::1]:8443"}, true, true},
		{"[::1]:8444", []string{"https://[::1]:8443"}, false, true},
	} {
		listed, err := parseHosts(c.listed)
		if err != nil {
			t.Fatal(err)
		}
		for open, want := range map[bool]bool{true: c.open, false: c.fixed} {
			err := newDialer(time.Second, open, listed).judge(c.address)
			if (err == nil) != want {
				t.Errorf("%s with %v listed, chosen by the record: %v: got %v", c.address, c.listed, open, err)
			}
		}
	}
}

// An address that a record may not lead to is refused for good; one that can't be
// reached may be so for all.
func TestADeniedAddressIsTheRecordsFault(t *testing.T) {
	s := newSink(Config{URL: handlers.Template{Source: "${payload.url}"}})
	d := newDialer(time.Second, s.recordsChooseHost(), nil)
	for address, suspect := range map[string]bool{"10.0.0.1:80": false, "169.254.169.254:80": false, "8.8.8.8:80": true} {
		err := d.judge(address)
		if err == nil {
			err = errors.New("connection refused")
		}
		f := s.unanswered(&net.OpError{Op: "dial", Err: err}, false, false)
		if f.Class != handlers.NotApplied || !f.NotSent || f.Suspect != suspect {
			t.Errorf("%s: %+v", address, f)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	allowed, err := parseHosts([]string{"Hooks.Shop.test.", "*.example.test", "10.0.0.0/8", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"hooks.shop.test":  true,
		"HOOKS.shop.test.": true,
		"a.example.test":   true,
		"a.b.example.test": true,
		"10.255.0.1":       true,
		"::ffff:10.0.0.1":  true,
		"192.0.2.7":        true,
		"192.0.2.8":        false,
		"example.test":     false,
		"shop.test":        false,
		"xexample.test":    false,
		"167772161":        false, // 10.0.0.1 as one number
		"a/.example.test":  false,
		"":                 false,
	} {
		if strings.Contains(host, "::") {
			host = "[" + host + "]"
		}
		if got := allowed.allow(&url.URL{Scheme: "http", Host: host}); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
	for _, item := range []string{"", "*", "ftp://h", "http://", "h:", "h:0", "h:99999", "http://h/p", "http://u@h", "[::1]:x", "a b", "*.", "10.0.0.0/99", "https://10.0.0.0/8:80", "10.0.0.0/8:80"} {
		if _, err := parseHosts([]string{item}); err == nil {
			t.Errorf("%q is taken as a host", item)
		}
	}
}

// A scheme and a port that are written are the only ones; the port of a URL that
// names none is that of its scheme.
func TestAllowedSchemesAndPorts(t *testing.T) {
	allowed, err := parseHosts([]string{"https://*.example.com:8443", "https://pay.test", "plain.test:80", "[2001:db8::7]:443", "HTTP://10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"https://a.example.com:8443/x": true,
		"http://a.example.com:8443/x":  false,
		"https://a.example.com/x":      false,
		"https://pay.test/x":           true,
		"https://pay.test:9999/x":      true,
		"http://pay.test/x":            false,
		"http://plain.test/x":          true,
		"https://plain.test/x":         false,
		"https://[2001:db8::7]/x":      true,
		"http://[2001:db8::7]/x":       false,
		"http://10.1.1.1:5/x":          true,
		"https://10.1.1.1:5/x":         false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := allowed.allow(u); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

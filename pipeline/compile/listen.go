package compile

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// addresses reports two listeners on one address.
func (c *compiler) addresses() {
	type listener struct {
		file    *config.File
		path    diag.Path
		address string
	}
	var taken []listener
	for _, path := range []diag.Path{"kafka.embedded.listen", "ingest.listen", "server.health"} {
		f := c.with(path)
		address := map[diag.Path]string{"kafka.embedded.listen": c.plan.Embedded, "server.health": c.plan.Health}[path]
		if path == "ingest.listen" && c.plan.Ingest != nil {
			address = c.plan.Ingest.Listen
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil || port == "0" {
			continue
		}
		i := slices.IndexFunc(taken, func(l listener) bool { return sameAddress(l.address, address) })
		if i < 0 {
			taken = append(taken, listener{f, path, address})
			continue
		}
		first := taken[i]
		p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeAddressTaken,
			Message: fmt.Sprintf("%s has the address of %s", path, first.path), Hint: "give each a port of its own"}
		if first.file != nil {
			p.Related = &diag.Related{Place: first.file.Source.Value(first.path), Message: "the address is taken here"}
		}
		c.add(p)
	}
}

// sameAddress tells whether two listeners can't both have their address: it is one
// and the same, written in two ways, or one takes every address of the machine.
func sameAddress(a, b string) bool {
	host := func(address string) (host, port string) {
		host, port, _ = net.SplitHostPort(address)
		switch ip := net.ParseIP(host); {
		case strings.EqualFold(host, "localhost"):
			host = "127.0.0.1"
		case ip != nil && ip.IsUnspecified():
			host = ""
		case ip != nil:
			host = ip.String()
		}
		return strings.ToLower(host), port
	}
	hostA, portA := host(a)
	hostB, portB := host(b)
	return portA == portB && (hostA == hostB || hostA == "" || hostB == "")
}

// retention warns of keys that are forgotten before their records.
func (c *compiler) retention() {
	for _, o := range c.definitions {
		guard := o.Plan.Idempotency
		if guard == nil {
			continue
		}
		for _, t := range c.plan.Topics {
			if !o.Plan.Reads(t.Name) || t.Retention == 0 || t.Retention < guard.TTL {
				continue
			}
			path := o.Path.Field("idempotency").Field("ttl")
			c.warn(o.File, path, diag.CodeLifetime,
				fmt.Sprintf("keys live for %s, and records of %q for %s: a late replay repeats effects",
					yamlconf.FormatDuration(guard.TTL), t.Name, yamlconf.FormatDuration(t.Retention)),
				"make the ttl longer than the topic's retention")
			break
		}
	}
}

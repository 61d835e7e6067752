package pipeline

import (
	"fmt"
	"net"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// addresses reports two listeners on one address.
func (c *compiler) addresses() {
	type listener struct {
		file *File
		path diag.Path
	}
	taken := map[string]listener{}
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
		first, ok := taken[address]
		if !ok {
			taken[address] = listener{f, path}
			continue
		}
		p := diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeAddressTaken,
			Message: fmt.Sprintf("%s has the address of %s", path, first.path), Hint: "give each a port of its own"}
		if first.file != nil {
			p.Related = &diag.Related{Place: first.file.Source.Value(first.path), Message: "the address is taken here"}
		}
		c.add(p)
	}
}

// retention warns of keys that are forgotten before their records.
func (c *compiler) retention() {
	for _, o := range c.origins {
		guard := o.plan.Idempotency
		if guard == nil {
			continue
		}
		for _, t := range c.plan.Topics {
			if !reads(o.plan, t.Name) || t.Retention == 0 || t.Retention < guard.TTL {
				continue
			}
			path := o.path.Field("idempotency").Field("ttl")
			c.add(diag.Problem{Path: path, Place: o.file.Source.Value(path), Severity: diag.Warning, Code: diag.CodeLifetime,
				Message: fmt.Sprintf("keys live for %s, and records of %q for %s: a late replay repeats effects",
					yamlconf.FormatDuration(guard.TTL), t.Name, yamlconf.FormatDuration(t.Retention)),
				Hint: "make the ttl longer than the topic's retention"})
			break
		}
	}
}

package compile

import (
	"net"
	"slices"

	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
)

// login checks that what `kafka.tls` and `kafka.sasl` say goes together.
func (c *compiler) login(f *config.File, block *config.Kafka) {
	if block.TLS != nil {
		c.pair(f, "kafka.tls.cert", "kafka.tls.key")
		c.pair(f, "kafka.tls.key", "kafka.tls.cert")
	}
	if block.SASL == nil || !c.sound(f, "kafka.sasl.mechanism") {
		return
	}
	if block.SASL.Mechanism == "oauthbearer" {
		c.needs(f, "kafka.sasl.token", "oauthbearer")
	} else {
		c.needs(f, "kafka.sasl.username", block.SASL.Mechanism)
		c.needs(f, "kafka.sasl.password", block.SASL.Mechanism)
	}
	if block.TLS == nil && !f.Source.Has("kafka.tls") && !slices.ContainsFunc(c.plan.Kafka.Brokers, isLoopback) {
		const path = diag.Path("kafka.sasl")
		c.add(diag.Problem{Path: path, Place: f.Source.Key(path), Severity: diag.Warning, Code: diag.CodeCleartext,
			Message: "kafka.sasl without kafka.tls: credentials and records travel unencrypted",
			Hint:    "add tls: {} to kafka and name the brokers' TLS ports"})
	}
}

// pair reports one of two files that are of use only together.
func (c *compiler) pair(f *config.File, has, lacks diag.Path) {
	if f.Source.Has(has) && !f.Source.Has(lacks) && !c.unclear(f, has.Parent()) {
		c.atKey(f, has, diag.CodeRequired, string(lacks)+" is missing: a certificate and its key are given together",
			"")
	}
}

// needs reports what a mechanism can't do without.
func (c *compiler) needs(f *config.File, path diag.Path, mechanism string) {
	if !f.Source.Has(path) && !c.unclear(f, "kafka.sasl") {
		c.atKey(f, "kafka.sasl", diag.CodeRequired, string(path)+" is missing: "+mechanism+" needs it", "")
	}
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

package compile

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/idempotency/redis"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/listen"
	"github.com/millrace/millrace/pipeline/plan"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

const (
	embeddedAddress = "127.0.0.1:9092"
	kafkaPort       = "9092"
	storeEmbedded   = "embedded"
)

// kafka takes the `kafka:` block: a cluster, or the embedded broker.
func (c *compiler) kafka() {
	c.plan.Kafka = kafka.Settings{ClientID: "millrace", Compression: "none"}
	f := c.with("kafka")
	if f == nil || f.Blocks.Kafka == nil {
		c.plan.Embedded = embeddedAddress
		return
	}
	block := f.Blocks.Kafka
	c.plan.Kafka = kafka.Settings{ClientID: block.ClientID, Rack: block.Rack, Compression: block.Compression}
	if block.TLS != nil {
		c.plan.Kafka.TLS = &kafka.TLS{CA: block.TLS.CA, Cert: block.TLS.Cert, Key: block.TLS.Key}
	}
	if block.SASL != nil {
		c.plan.Kafka.SASL = &kafka.SASL{Mechanism: block.SASL.Mechanism, Username: block.SASL.Username,
			Password: block.SASL.Password, Token: block.SASL.Token}
	}
	hasBrokers := f.Source.Has("kafka.brokers")
	switch {
	case hasBrokers && f.Source.Has("kafka.embedded"):
		c.add(diag.Problem{Path: "kafka.embedded", Place: f.Source.Key("kafka.embedded"), Code: diag.CodeExclusive,
			Message: "kafka.embedded and kafka.brokers exclude each other",
			Related: &diag.Related{Place: f.Source.Key("kafka.brokers"), Message: "the brokers are here"}})
	case hasBrokers:
		c.brokers(f, block.Brokers)
		c.login(f, block)
	case block.TLS != nil || block.SASL != nil:
		c.atKey(f, "kafka", diag.CodeRequired,
			"kafka.brokers is missing: it must be written where there is tls or sasl", "")
	default:
		c.plan.Embedded = embeddedAddress
		if block.Embedded != nil && block.Embedded.Listen != "" {
			c.plan.Embedded = block.Embedded.Listen
			c.embeddedListen(f, block.Embedded.Listen)
		}
	}
}

// embeddedListen checks the address of the embedded broker as the broker does.
func (c *compiler) embeddedListen(f *config.File, address string) {
	const path = diag.Path("kafka.embedded.listen")
	if c.address(f, path, address); !c.sound(f, path) {
		return
	}
	if err := listen.CheckLoopback(address); err != nil {
		c.atValue(f, path, diag.CodeMalformed, err.Error(), "")
	}
}

// brokers takes apart what may be several addresses in one item.
func (c *compiler) brokers(f *config.File, items []string) {
	for i, item := range items {
		path := diag.Path("kafka.brokers").Item(i)
		if !c.sound(f, path) {
			continue
		}
		for _, address := range strings.Split(item, ",") {
			address = strings.TrimSpace(address)
			if address == "" {
				continue
			}
			host, port, err := net.SplitHostPort(address)
			if err != nil && !strings.Contains(address, ":") {
				host, port, err = address, kafkaPort, nil
			}
			if err != nil || host == "" || !validPort(port) || strings.ContainsAny(host, "/@ ") {
				c.add(c.badBroker(f, path, item, address))
				continue
			}
			c.plan.Kafka.Brokers = append(c.plan.Kafka.Brokers, net.JoinHostPort(host, port))
		}
	}
	if len(c.plan.Kafka.Brokers) == 0 && c.sound(f, "kafka.brokers") && !c.unknownBelow(f, "kafka.brokers") {
		c.atKey(f, "kafka.brokers", diag.CodeEmpty, "kafka.brokers has no address",
			"leave kafka out for the embedded broker")
	}
}

// badBroker says what is wrong with the address of a broker.
func (c *compiler) badBroker(f *config.File, path diag.Path, item, address string) diag.Problem {
	p := diag.Problem{Path: path, Place: f.Source.Inside(path, max(0, strings.Index(item, address))),
		Code:    diag.CodeMalformed,
		Message: c.shown(f, path, address) + " is not the address of a broker",
		Hint:    "write host:port, such as kafka-1:9092"}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return p
	}
	host := u.Host
	if u.Port() == "" {
		host += ":" + kafkaPort
	}
	if _, secret := f.Secrets[path]; !secret {
		p.Hint = "write " + host
		if item == address {
			p.Fix, p.FixAt = f.Source.Spell(path, host)
		}
	}
	return p
}

// unknownBelow tells whether anything below path is not known.
func (c *compiler) unknownBelow(f *config.File, path diag.Path) bool {
	for p := range f.Unknown {
		if p.Within(path) {
			return true
		}
	}
	return false
}

// store takes the top-level `idempotency:` block.
func (c *compiler) store() {
	var defaults yamlconf.Decoder
	defaults.Defaults(&c.storeDefaults)
	f := c.with("idempotency")
	if f != nil && f.Blocks.Idempotency != nil {
		c.storeDefaults = *f.Blocks.Idempotency
	}
	address := c.storeDefaults.Store
	c.plan.Store = plan.Store{URL: handlers.Secret(address), Embedded: address == storeEmbedded,
		AllowEviction: c.storeDefaults.AllowEviction, OnReset: plan.Action(c.storeDefaults.OnStoreReset)}
	if address == "" && c.plan.Embedded != "" {
		c.plan.Store.URL, c.plan.Store.Embedded = storeEmbedded, true
	}
	const path = diag.Path("idempotency.store")
	switch {
	case f == nil || !c.sound(f, path):
	case strings.HasPrefix(address, "redis://"), strings.HasPrefix(address, "rediss://"):
		if err := redis.CheckURL(address); err != nil {
			c.atValue(f, path, diag.CodeMalformed, "idempotency.store: "+err.Error(),
				"write redis://[user:password@]host:6379/0")
			break
		}
		c.unsafeStore(f, path, address)
	case address != "" && address != storeEmbedded:
		hint := ""
		if near := diag.Nearest(address, []string{storeEmbedded}); near != "" {
			hint = "did you mean embedded?"
		}
		message := "idempotency.store must be embedded, or a redis:// or rediss:// address"
		if _, secret := f.Secrets[path]; !secret {
			message += ", not " + strconv.Quote(address)
		}
		c.atValue(f, path, diag.CodeChoice, message, hint)
	case c.plan.Store.Embedded && c.plan.Embedded == "" && c.with("kafka") != nil:
		c.warn(f, path, diag.CodeStoreEmbedded, "the embedded store beside a cluster: exactly one process may run",
			"replicas with stores of their own repeat each other's effects")
	}
	if f != nil && c.storeDefaults.Lease > 0 && c.storeDefaults.Lease >= c.storeDefaults.TTL &&
		c.sound(f, "idempotency.ttl") && c.sound(f, "idempotency.lease") {
		c.lifetime(f, "idempotency", c.storeDefaults)
	}
}

// unsafeStore warns of a store whose password, or whose answers, are not safe on
// their way.
func (c *compiler) unsafeStore(f *config.File, path diag.Path, address string) {
	switch cleartext, unverified := redis.Unsafe(address); {
	case unverified:
		c.warn(f, path, diag.CodeUnverified,
			"idempotency.store does not check whose certificate it is shown: whoever is on the way may answer",
			"remove skip_verify; SSL_CERT_FILE=ca.pem adds an authority of your own")
	case cleartext:
		c.warn(f, path, diag.CodeCleartext, "idempotency.store sends its password unencrypted to another machine",
			"write rediss:// and name Redis's TLS port")
	}
}

func (c *compiler) lifetime(f *config.File, block diag.Path, s config.Store) {
	path := block.Field("ttl")
	if !f.Source.Has(path) {
		path = block.Field("lease")
	}
	c.atValue(f, path, diag.CodeLifetime, fmt.Sprintf("the ttl (%s) must be longer than the lease (%s)",
		yamlconf.FormatDuration(s.TTL), yamlconf.FormatDuration(s.Lease)), "")
}

// needsStore reports a guarded pipeline on a cluster without a store.
func (c *compiler) needsStore(f *config.File, path diag.Path) {
	block := c.with("idempotency")
	if c.plan.Store.URL != "" || c.plan.Embedded != "" || block != nil && !c.sound(block, "idempotency") ||
		c.problems.Broken(f.Name, "kafka") {
		return
	}
	if block != nil && block.Unknown["idempotency.store"] {
		return
	}
	c.plan.Store.URL = "missing"
	const message = "idempotency.store must be written where there is a cluster"
	const hint = "add a top-level block: idempotency: {store: redis://host:6379/0}, or {store: embedded} for one " +
		"process alone"
	if block != nil {
		c.atKey(block, "idempotency", diag.CodeStore, message, hint)
		return
	}
	c.atKey(f, path, diag.CodeStore, message, hint)
}

// address checks where something listens.
func (c *compiler) address(f *config.File, path diag.Path, address string) {
	if address == "" || !c.sound(f, path) {
		return
	}
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil && validPort(address):
		c.add(diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeMalformed,
			Message: string(path) + " must be host:port",
			Hint:    "write 127.0.0.1:" + address, Fix: "127.0.0.1:" + address})
	case err == nil && !validPort(port) && port != "":
		c.atValue(f, path, diag.CodeMalformed, fmt.Sprintf("%s has the port %s, which is none", path,
			strconv.Quote(port)), "a port is a number up to 65535")
	case err != nil || !validPort(port) || strings.ContainsAny(host, "/@ "):
		hint := "write host:port, such as 127.0.0.1:8080"
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			hint = "write just " + u.Host
		}
		c.atValue(f, path, diag.CodeMalformed, fmt.Sprintf("%s must be host:port, not %s", path,
			c.shown(f, path, address)), hint)
	}
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n <= 65535
}

// shown quotes a value for a message, unless it is secret.
func (c *compiler) shown(f *config.File, path diag.Path, value string) string {
	if _, secret := f.Secrets[path]; secret {
		return "this text"
	}
	if at := strings.LastIndex(value, "@"); at >= 0 {
		value = "…" + value[at:] // what is before it may be a login
	}
	return strconv.Quote(diag.Clip(value, 60))
}

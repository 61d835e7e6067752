package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/handlers"
)

// encrypted dials brokers over TLS, for both libraries. It reads the
// certificate files anew for every connection, so that a renewed certificate
// needs no restart.
type encrypted struct{ files TLS }

// tlsOf reads the files once, so that what is wrong with them is told at start.
func tlsOf(t *TLS) (*encrypted, error) {
	if t == nil {
		return nil, nil
	}
	e := &encrypted{files: *t}
	if _, err := e.config(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *encrypted) config() (*tls.Config, error) {
	conf, err := (&handlers.TLS{CA: e.files.CA, Cert: e.files.Cert, Key: e.files.Key}).Config()
	fault, ok := errors.AsType[*handlers.FieldError](err)
	switch {
	case ok && fault.Field == "ca":
		return nil, fmt.Errorf("read kafka.tls.ca: %w", err)
	case ok:
		return nil, &faultError{sure: true, what: "kafka.tls.cert and kafka.tls.key can't be used", err: err}
	}
	return conf, err
}

// DialContext connects and shakes hands.
func (e *encrypted) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn, err := e.shake(ctx, raw, address)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

func (e *encrypted) shake(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	conf, err := e.config()
	if err != nil {
		return nil, err
	}
	if conf.ServerName, _, err = net.SplitHostPort(address); err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, handshakeFault(address, err)
	}
	return conn, raw.SetDeadline(time.Time{})
}

// faultError is a connection that fails in a way which somebody has to mend, and
// what to mend.
type faultError struct {
	what string
	err  error
	// sure tells that it would fail again for as long as nothing is changed; a
	// broker that is just starting may look like the others.
	sure bool
}

// Error is what to mend, and what was seen.
func (e *faultError) Error() string {
	if e.err == nil {
		return e.what
	}
	return e.what + " (" + e.err.Error() + ")"
}

// Unwrap is what was seen.
func (e *faultError) Unwrap() error { return e.err }

// hopeless tells whether trying again is of no use.
func hopeless(err error) bool {
	fault, ok := errors.AsType[*faultError](err)
	return ok && fault.sure
}

// handshakeFault says what a handshake that failed means.
func handshakeFault(address string, err error) error {
	fault := &faultError{err: err, sure: true}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		fault.what = "the certificate of " + address +
			" has expired or is not valid yet: renew it on the broker, or set this machine's clock"
		return fault
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		fault.what = "the certificate of " + address +
			" is for other names: use one of them in kafka.brokers, and on the broker in advertised.listeners"
		return fault
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		fault.what = "the certificate of " + address +
			" is not signed by an authority of kafka.tls.ca, or of the system where that is not set: name the file " +
			"of its authority there"
		return fault
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		fault.what = address + " does not speak TLS: take kafka.tls out, or name the broker's TLS port in kafka.brokers"
		return fault
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		fault.what = address +
			" ended the connection instead of speaking TLS: where it is a plain-text port, take kafka.tls out, or " +
			"name the broker's TLS port in kafka.brokers"
		// The cause itself would be taken for the network's fault.
		fault.err, fault.sure = errors.New(err.Error()), false
		return fault
	}
	if refusedCertificate(err) {
		return certificateFault(err)
	}
	return fmt.Errorf("shake hands with %s: %w", address, err)
}

// refusedCertificate tells whether the broker said that it does not like what
// this side showed.
func refusedCertificate(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" && strings.Contains(err.Error(), "certificate")
}

func certificateFault(err error) error {
	return &faultError{err: err, sure: true,
		what: "the broker refused this side's certificate: set kafka.tls.cert and kafka.tls.key to one that it trusts"}
}

// explain adds to an error of either library what has to be mended, where it is
// the configuration's fault.
func (c cluster) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*faultError](err); ok {
		return err
	}
	is := func(a *kerr.Error, b sarama.KError) bool { return errors.Is(err, a) || errors.Is(err, b) }
	switch {
	case refusedCertificate(err):
		return certificateFault(err)
	case is(kerr.SaslAuthenticationFailed, sarama.ErrSASLAuthenticationFailed):
		what := "the broker refused the credentials: check kafka.sasl.username and kafka.sasl.password"
		if c.sasl != nil && c.sasl.token {
			what = tokenRefused
		}
		return &faultError{what: what, err: err, sure: true}
	case is(kerr.UnsupportedSaslMechanism, sarama.ErrUnsupportedSASLMechanism):
		return &faultError{what: "the broker does not offer this mechanism: check kafka.sasl.mechanism", err: err,
			sure: true}
	case is(kerr.IllegalSaslState, sarama.ErrIllegalSASLState):
		return &faultError{what: "the broker wants no authentication on this port: take kafka.sasl out, or name its " +
			"SASL port in kafka.brokers", err: err, sure: true}
	case c.sasl != nil && c.sasl.token && strings.Contains(err.Error(), "oauth response"):
		// The reading library drops what the broker says of the token.
		return &faultError{what: tokenRefused, err: err, sure: true}
	case strings.Contains(err.Error(), "tls alert record"):
		return &faultError{what: "the broker speaks TLS on this port: set kafka.tls, or name its plain-text port in " +
			"kafka.brokers", err: err, sure: true}
	case closedAtOnce(err):
		what := "the broker ended the connection: it may want authentication on this port, by kafka.sasl"
		switch {
		case c.dialer != nil && c.tls == nil:
			what = "the embedded broker ended the connection"
		case c.tls == nil:
			what = "the broker ended the connection: it may have too many, or want TLS or authentication on this " +
				"port, by kafka.tls or kafka.sasl"
		}
		return &faultError{what: what, err: err}
	}
	return err
}

const tokenRefused = "the broker refused the token: check kafka.sasl.token, and whether it has expired"

// closedAtOnce tells whether a broker did not answer in Kafka's protocol, in
// the way either library says so.
func closedAtOnce(err error) bool {
	if _, ok := errors.AsType[*kgo.ErrFirstReadEOF](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// login is one way to authenticate in the words of both libraries.
type login struct {
	kgo    sasl.Mechanism
	sarama func(*sarama.Config)
	// token tells that there is a token instead of a name and a password.
	token bool
}

func loginOf(s *SASL) (*login, error) {
	if s == nil {
		return nil, nil
	}
	user, password := s.Username, string(s.Password)
	mechanism := strings.ToLower(s.Mechanism)
	switch {
	case mechanism == "oauthbearer" && s.Token == "":
		return nil, errors.New("kafka.sasl.token is missing")
	case mechanism != "oauthbearer" && user == "":
		return nil, errors.New("kafka.sasl.username is missing")
	case mechanism != "oauthbearer" && password == "":
		return nil, errors.New("kafka.sasl.password is missing")
	}
	named := func(name sarama.SASLMechanism, more func(*sarama.Config)) func(*sarama.Config) {
		return func(conf *sarama.Config) {
			conf.Net.SASL.Enable, conf.Net.SASL.Mechanism, conf.Net.SASL.Version = true, name, sarama.SASLHandshakeV1
			conf.Net.SASL.User, conf.Net.SASL.Password = user, password
			if more != nil {
				more(conf)
			}
		}
	}
	salted := func(m sasl.Mechanism, name sarama.SASLMechanism) *login {
		return &login{kgo: m, sarama: named(name, func(conf *sarama.Config) {
			conf.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &exchange{mechanism: m} }
		})}
	}
	switch mechanism {
	case "plain":
		return &login{kgo: plain.Auth{User: user, Pass: password}.AsMechanism(),
			sarama: named(sarama.SASLTypePlaintext, nil)}, nil
	case "scram-sha-256":
		return salted(scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), sarama.SASLTypeSCRAMSHA256), nil
	case "scram-sha-512":
		return salted(scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), sarama.SASLTypeSCRAMSHA512), nil
	case "oauthbearer":
		return &login{token: true, kgo: oauth.Auth{Token: string(s.Token)}.AsMechanism(),
			sarama: named(sarama.SASLTypeOAuth, func(conf *sarama.Config) {
				conf.Net.SASL.User, conf.Net.SASL.Password = "", ""
				conf.Net.SASL.TokenProvider = bearer(s.Token)
			})}, nil
	}
	return nil, fmt.Errorf("unknown kafka.sasl.mechanism %q", s.Mechanism)
}

// bearer hands the token to the writing library.
type bearer string

// Token returns the token.
func (b bearer) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: string(b)}, nil
}

// exchange lets the reading library's mechanism speak for the writing one,
// which leaves SCRAM to its user.
type exchange struct {
	mechanism sasl.Mechanism
	session   sasl.Session
	first     []byte
	done      bool
}

// Begin makes the first message. The mechanism knows the credentials already.
func (e *exchange) Begin(_, _, _ string) (err error) {
	// Salted mechanisms ask neither for a context nor for a host.
	var none context.Context
	e.session, e.first, err = e.mechanism.Authenticate(none, "")
	return err
}

// Step answers a challenge; the first one is empty and asks for the first
// message.
func (e *exchange) Step(challenge string) (string, error) {
	if e.first != nil {
		first := string(e.first)
		e.first = nil
		return first, nil
	}
	done, answer, err := e.session.Challenge([]byte(challenge))
	e.done = done
	return string(answer), err
}

// Done tells that the broker has proved itself too.
func (e *exchange) Done() bool { return e.done }

// bootstrap is the dialer of the writing library. That library picks one of the
// addresses that it is given, at random, and asks no other until it knows the
// cluster: with one broker of three down, every third producer could not begin.
// So it is given one address that stands for all of them.
type bootstrap struct {
	address string
	brokers []string
	dialer  Dialer
	// next is where the next connection begins to try, so that a broker which
	// takes connections and says nothing is not asked twice in a row.
	next atomic.Uint32
}

// bootstrapAddress stands for all addresses of the cluster. It can't be that of a
// broker.
func (c cluster) bootstrapAddress() string { return "bootstrap:" + strings.Join(c.brokers, ",") }

func newBootstrap(c cluster) *bootstrap {
	b := &bootstrap{address: c.bootstrapAddress(), brokers: c.brokers, dialer: c.dialer}
	if b.dialer == nil {
		b.dialer = &net.Dialer{Timeout: dialTimeout}
	}
	return b
}

// Dial connects to a broker, or to the first of all that answers.
func (b *bootstrap) Dial(network, address string) (net.Conn, error) {
	if address != b.address {
		return b.dialer.DialContext(context.Background(), network, address)
	}
	var failed []error
	from := int(b.next.Add(1))
	for i := range b.brokers {
		conn, err := b.dialer.DialContext(context.Background(), network, b.brokers[(from+i)%len(b.brokers)])
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// reachable tells whether any broker takes connections: a producer of the library
// that can't begin is never freed.
func (c cluster) reachable() error {
	conn, err := newBootstrap(c).Dial("tcp", c.bootstrapAddress())
	if err != nil {
		return err
	}
	return conn.Close()
}

package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

// Probe looks the host up and connects to it, over TLS where the URL says so. It
// sends no request, since any may have an effect. Where the host depends on the
// record there is nothing to connect to.
func (s *sink) Probe(ctx context.Context) error {
	if s.authority == "" {
		return nil
	}
	err := s.connect(ctx)
	if fault, ok := errors.AsType[*handlers.FieldError](err); ok {
		return &handlers.FieldError{Field: "tls." + fault.Field, Err: fault.Err}
	}
	if err != nil {
		return &handlers.FieldError{Field: "url", Err: err}
	}
	return nil
}

func (s *sink) connect(ctx context.Context) error {
	u, err := url.Parse(s.authority)
	if err != nil {
		return errors.New("the URL is not valid")
	}
	port, secure := u.Port(), strings.EqualFold(u.Scheme, "https")
	switch {
	case port == "" && secure:
		port = "443"
	case port == "":
		port = "80"
	}
	conn, err := s.dialer.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("connect to the receiver: %w", err)
	}
	if secure {
		config, err := s.tlsConfig(u.Hostname())
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		if err := tls.Client(conn, config).HandshakeContext(ctx); err != nil {
			return errors.Join(certificateFault(err, time.Now()), conn.Close())
		}
	}
	return conn.Close()
}

// certificateFault says when a certificate expired, and of others what the
// library says.
func certificateFault(err error, now time.Time) error {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case ok && invalid.Reason == x509.Expired && now.After(invalid.Cert.NotAfter):
		return fmt.Errorf("the receiver's certificate expired at %s: renew it there",
			invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case ok && invalid.Reason == x509.Expired:
		return fmt.Errorf("the receiver's certificate is valid only from %s on",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("speak TLS with the receiver: %w", err)
}

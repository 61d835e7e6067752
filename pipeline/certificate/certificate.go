// Package certificate reads certificates and their keys from files.
package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/files"
)

// Files name a certificate, with those that sign it, and its key, both in PEM.
type Files struct{ Cert, Key string }

// Load reads the pair. One that has expired is an error.
func (f Files) Load() (*tls.Certificate, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("a certificate and its key are given together")
	}
	cert, err := files.Read(f.Cert, files.MaxBytes)
	if err != nil {
		return nil, err
	}
	key, err := files.Read(f.Key, files.MaxBytes)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	if until := pair.Leaf.NotAfter; time.Now().After(until) {
		return nil, fmt.Errorf("the certificate expired at %s: renew it", until.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

// Check reads the files and says what is wrong with each; what is wrong with both
// together is said of the certificate.
func (f Files) Check() (cert, key error) {
	for _, c := range []struct {
		file string
		err  *error
	}{{f.Cert, &cert}, {f.Key, &key}} {
		if c.file != "" {
			_, *c.err = files.Read(c.file, files.MaxBytes)
		}
	}
	if f.Cert != "" && f.Key != "" && cert == nil && key == nil {
		_, cert = f.Load()
	}
	return cert, key
}

// Current is the pair of a server. It reads the files again when they change, so
// that a renewed certificate needs no restart, and keeps what it has where they
// can't be used. It is safe for concurrent use.
type Current struct {
	of     Files
	logger *slog.Logger

	mu   sync.Mutex
	pair *tls.Certificate
	seen [2]fs.FileInfo
}

// NewCurrent reads the files for the first time.
func NewCurrent(of Files, logger *slog.Logger) (*Current, error) {
	c := &Current{of: of, logger: logger}
	c.changed()
	var err error
	c.pair, err = of.Load()
	return c, err
}

// Get is the GetCertificate of a server's tls.Config.
func (c *Current) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed() {
		switch pair, err := c.of.Load(); {
		case err != nil:
			c.logger.Warn("a changed certificate can't be used: the one before goes on", "cert", c.of.Cert, "err", err)
		default:
			c.pair = pair
			c.logger.Info("a changed certificate is used from now on", "cert", c.of.Cert, "until", pair.Leaf.NotAfter)
		}
	}
	return c.pair, nil
}

// changed tells whether the files are others than before, and notes them.
func (c *Current) changed() bool {
	changed := false
	for i, name := range []string{c.of.Cert, c.of.Key} {
		now, err := os.Stat(name)
		if err != nil {
			continue // it is just being replaced
		}
		if old := c.seen[i]; old == nil || !os.SameFile(old, now) || !old.ModTime().Equal(now.ModTime()) ||
			old.Size() != now.Size() {
			c.seen[i], changed = now, true
		}
	}
	return changed
}

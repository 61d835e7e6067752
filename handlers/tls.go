package handlers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// TLS is the block `tls:` of a sink that reaches its system over TLS. What is wrong
// with the files of a field of the type *TLS is told when the configuration is loaded.
type TLS struct {
	CA         string `yaml:"ca" path:"true" doc:"A PEM file of the authorities to trust. Without it, those of the system."`
	Cert       string `yaml:"cert" path:"true" doc:"A PEM file with the client's certificate."`
	Key        string `yaml:"key" path:"true" doc:"A PEM file with the key of that certificate."`
	ServerName string `yaml:"server_name" doc:"The name that the certificate of the other side must have. Without it, the host that is called."`
}

// Config reads the files and makes what a connection goes by: sinks ask for it anew
// for each connection, so that files that were renewed need no restart. What a client
// library keeps still reads the client's certificate again for each handshake. An
// error of a file is a *FieldError.
func (t *TLS) Config() (*tls.Config, error) {
	roots, err := t.roots()
	if err != nil {
		return nil, &FieldError{Field: "ca", Err: err}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, RootCAs: roots}
	if t.Cert == "" && t.Key == "" {
		return conf, nil
	}
	if _, err := t.pair(); err != nil {
		return nil, err
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.pair() }
	return conf, nil
}

// Check reads the files and says what is wrong with each. What is wrong with the
// certificate and its key together is said of the certificate; that one of the two is
// not given is said where the configuration is checked.
func (t *TLS) Check() []*FieldError {
	var all []*FieldError
	if _, err := t.roots(); err != nil {
		all = append(all, &FieldError{Field: "ca", Err: err})
	}
	whole := true
	for _, f := range []struct{ field, name string }{{"cert", t.Cert}, {"key", t.Key}} {
		if f.name == "" {
			whole = false
		} else if _, err := readRegular(f.name); err != nil {
			all, whole = append(all, &FieldError{Field: f.field, Err: err}), false
		}
	}
	if whole {
		_, err := t.pair()
		if fault, ok := errors.AsType[*FieldError](err); ok {
			all = append(all, fault)
		}
	}
	return all
}

// roots are the authorities to trust, nil for the system's.
func (t *TLS) roots() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	pem, err := readRegular(t.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return roots, nil
}

// pair is the client's certificate and key.
func (t *TLS) pair() (*tls.Certificate, error) {
	switch {
	case t.Key == "":
		return nil, &FieldError{Field: "cert", Err: errors.New("a certificate and its key are given together")}
	case t.Cert == "":
		return nil, &FieldError{Field: "key", Err: errors.New("a certificate and its key are given together")}
	}
	cert, err := readRegular(t.Cert)
	if err != nil {
		return nil, &FieldError{Field: "cert", Err: err}
	}
	key, err := readRegular(t.Key)
	if err != nil {
		return nil, &FieldError{Field: "key", Err: err}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil && time.Now().After(pair.Leaf.NotAfter) {
		err = fmt.Errorf("the certificate expired at %s: renew it", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return nil, &FieldError{Field: "cert", Err: err}
	}
	return &pair, nil
}

// readRegular reads a file of a certificate's size; what is no regular file, and
// might block, is not opened.
func readRegular(name string) ([]byte, error) {
	const most = 1 << 20
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = errors.New("it has more than 1 MiB")
	}
	return text, err
}

//go:build unix

package certificates_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
)

func TestCertificatesAreWhatTheirNamesSay(t *testing.T) {
	c, err := certificates.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	tests := map[string]struct {
		pair  certificates.Pair
		right func(error) bool
	}{
		"server":         {c.Server, func(err error) bool { return err == nil }},
		"client":         {c.Client, func(err error) bool { return err == nil }},
		"expired server": {c.ExpiredServer, expired},
		"expired client": {c.ExpiredClient, expired},
		"other server":   {c.OtherServer, func(err error) bool { return errors.As(err, &unknown) }},
		"other client":   {c.OtherClient, func(err error) bool { return errors.As(err, &unknown) }},
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for name, tt := range tests {
		pair, err := tls.LoadX509KeyPair(tt.pair.Cert, tt.pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if !tt.right(err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := tls.LoadX509KeyPair(tt.pair.Keystore, tt.pair.Keystore); err != nil {
			t.Errorf("keystore of %s: %v", name, err)
		}
	}
}

func expired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

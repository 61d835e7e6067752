//go:build unix

package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Set are files of certificates for tests: of one authority, and of
// another one that is not to be trusted. Server certificates are for localhost
// and the process.Loopback addresses.
type Set struct {
	// CA is the authority's own certificate, as PEM.
	CA string
	// OtherCA is that of another authority.
	OtherCA string

	// Server and Client are valid and of CA; the client's name is "client".
	Server, Client Pair
	// ExpiredServer and ExpiredClient are of CA and ended yesterday.
	ExpiredServer, ExpiredClient Pair
	// OtherServer and OtherClient are valid and of OtherCA.
	OtherServer, OtherClient Pair
}

// Pair is a certificate with its key, as paths of PEM files. Keystore holds
// both in one file, as Kafka wants it with ssl.keystore.type=PEM.
type Pair struct{ Cert, Key, Keystore string }

// New makes keys and certificates and writes them into a folder,
// which must exist.
func New(dir string) (*Set, error) {
	c := &Set{CA: filepath.Join(dir, "ca.pem"), OtherCA: filepath.Join(dir, "other-ca.pem")}
	own, err := newAuthority("Millrace test authority", c.CA)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	other, err := newAuthority("Another test authority", c.OtherCA)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	day := 24 * time.Hour
	c.Server, err = own.issue(dir, "server", "localhost", day)
	errs := []error{err}
	for _, want := range []struct {
		pair       *Pair
		by         *authority
		file, name string
		ends       time.Duration
	}{
		{&c.Client, own, "client", "client", day},
		{&c.ExpiredServer, own, "expired-server", "localhost", -day},
		{&c.ExpiredClient, own, "expired-client", "client", -day},
		{&c.OtherServer, other, "other-server", "localhost", day},
		{&c.OtherClient, other, "other-client", "client", day},
	} {
		*want.pair, err = want.by.issue(dir, want.file, want.name, want.ends)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	return c, nil
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(name, file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(0, 0, -30), NotAfter: time.Now().AddDate(0, 0, 30),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, os.WriteFile(file, certPEM(der), 0o600)
}

// issue makes a pair that ends so long from now.
func (a *authority) issue(dir, file, name string, ends time.Duration) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(0, 0, -3), NotAfter: time.Now().Add(ends),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	p := Pair{
		Cert: filepath.Join(dir, file+".pem"), Key: filepath.Join(dir, file+".key"),
		Keystore: filepath.Join(dir, file+".keystore.pem"),
	}
	return p, errors.Join(
		os.WriteFile(p.Cert, certPEM(der), 0o600),
		os.WriteFile(p.Key, keyPEM, 0o600),
		os.WriteFile(p.Keystore, append(keyPEM, certPEM(der)...), 0o600),
	)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

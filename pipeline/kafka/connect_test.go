package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file is its own certificate in PEM.
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = newKey(t)
	a.cert = a.sign(template, template, a.key)
	writePEM(t, a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue writes a certificate and its key, valid for a while from now on, which
// may be past.
func (a *authority) issue(valid time.Duration, names ...string) (certFile, keyFile string) {
	a.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid)}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey(a.t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(a.t, certFile, "CERTIFICATE", a.sign(template, a.cert, key).Raw)
	writePEM(a.t, keyFile, "PRIVATE KEY", der)
	return certFile, keyFile
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve shakes hands with whoever comes and then keeps silent.
func serve(t testing.TB, conf *tls.Config) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func serverConfig(t testing.TB, certFile, keyFile string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func dial(t testing.TB, files TLS, address string) error {
	t.Helper()
	e, err := tlsOf(&files)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := e.DialContext(t.Context(), "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err
}

func TestHandshakesThatFailSayWhatToMend(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	good := signedBy(t, ours, time.Hour, "127.0.0.1")
	old := signedBy(t, ours, time.Hour, "127.0.0.1")
	old.MaxVersion = tls.VersionTLS11
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for name, c := range map[string]struct {
		files   TLS
		address string
		want    string
		sure    bool
	}{
		"all is well":        {TLS{CA: ours.file}, serve(t, good), "", false},
		"another authority":  {TLS{CA: theirs.file}, serve(t, good), "kafka.tls.ca", true},
		"the system's roots": {TLS{}, serve(t, good), "kafka.tls.ca", true},
		"expired":            {TLS{CA: ours.file}, serve(t, signedBy(t, ours, -time.Minute, "127.0.0.1")), "has expired", true},
		"another name":       {TLS{CA: ours.file}, serve(t, signedBy(t, ours, time.Hour, "kafka.example")), "kafka.brokers", true},
		"plain text":         {TLS{CA: ours.file}, plain.Addr().String(), "take kafka.tls out", false},
		"too old":            {TLS{CA: ours.file}, serve(t, old), "protocol version", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := dial(t, c.files, c.address)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || hopeless(err) != c.sure {
				t.Errorf("got %v, sure %v; want %q, %v", err, hopeless(err), c.want, c.sure)
			}
		})
	}
}

func signedBy(t testing.TB, a *authority, valid time.Duration, names ...string) *tls.Config {
	certFile, keyFile := a.issue(valid, names...)
	return serverConfig(t, certFile, keyFile)
}

// TestCertificatesAreReadForEveryConnection renews an authority under a client.
func TestCertificatesAreReadForEveryConnection(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	address := serve(t, signedBy(t, second, time.Hour, "127.0.0.1"))
	e, err := tlsOf(&TLS{CA: first.file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.DialContext(t.Context(), "tcp", address); err == nil {
		t.Fatal("a stranger was trusted")
	}
	writePEM(t, first.file, "CERTIFICATE", second.cert.Raw)
	conn, err := e.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestRefusesCertificateFiles(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(time.Hour, "client")
	_, otherKey := a.issue(time.Hour, "client")
	stale, staleKey := a.issue(-time.Minute, "client")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files TLS
		want  string
	}{
		"no such file":         {TLS{CA: empty + "x"}, "kafka.tls.ca"},
		"no certificate":       {TLS{CA: empty}, "holds no certificate"},
		"no key":               {TLS{Cert: cert}, "given together"},
		"no client's":          {TLS{Key: key}, "given together"},
		"a key of another one": {TLS{Cert: cert, Key: otherKey}, "kafka.tls.cert and kafka.tls.key"},
		"expired":              {TLS{Cert: stale, Key: staleKey}, "the certificate expired at"},
	} {
		if _, err := newCluster(Settings{Brokers: []string{"a:1"}, TLS: &c.files}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := newCluster(Settings{Brokers: []string{"a:1"}, TLS: &TLS{CA: a.file, Cert: cert, Key: key}}); err != nil {
		t.Error(err)
	}
}

func TestPingEndsAtOnceWhereWaitingIsOfNoUse(t *testing.T) {
	address := serve(t, signedBy(t, newAuthority(t), time.Hour, "127.0.0.1"))
	admin, err := NewAdmin(Settings{Brokers: []string{address}, TLS: &TLS{CA: newAuthority(t).file}}, Deps{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	begun := time.Now()
	err = admin.Ping(within(t, patience), nil)
	if err == nil || time.Since(begun) > soon || !strings.Contains(err.Error(), "kafka.tls.ca") {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/certificate"
)

// write makes a certificate of a name and writes it where files say.
func write(t *testing.T, files certificate.Files, name string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		// As renewals do: a new file takes the place of the old one.
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCurrent(t *testing.T) {
	dir := t.TempDir()
	files := certificate.Files{Cert: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	write(t, files, "first", time.Now().Add(time.Hour))
	var log bytes.Buffer
	current, err := certificate.NewCurrent(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	is := func(want string) {
		t.Helper()
		pair, err := current.Get(nil)
		if err != nil || pair.Leaf.Subject.CommonName != want {
			t.Fatalf("got %v, %v, want %s", pair.Leaf.Subject, err, want)
		}
	}
	is("first")
	write(t, files, "second", time.Now().Add(time.Hour))
	is("second")
	for name, broken := range map[string]func(){
		"expired": func() { write(t, files, "expired", time.Now().Add(-time.Hour)) },
		"no PEM":  func() { _ = os.WriteFile(files.Cert, []byte("x"), 0o600) },
		"gone":    func() { _ = os.Remove(files.Cert) },
	} {
		log.Reset()
		broken()
		is("second")
		is("second")
		if said := strings.Count(log.String(), "can't be used"); said != 1 && name != "gone" {
			t.Errorf("%s: said %d times: %s", name, said, &log)
		}
	}
	write(t, files, "third", time.Now().Add(time.Hour))
	is("third")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	files := certificate.Files{Cert: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	if _, err := certificate.NewCurrent(files, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("missing files are no certificate")
	}
	write(t, files, "old", time.Now().Add(-time.Minute))
	if _, err := files.Load(); err == nil || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("expired: %v", err)
	}
	if cert, key := (certificate.Files{Cert: files.Cert, Key: "/nowhere"}).Check(); cert != nil || key == nil {
		t.Errorf("cert %v, key %v", cert, key)
	}
}

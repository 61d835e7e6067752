package ingest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/ingest"
)

// certificateOf writes the certificate of the standard library's test server, and
// returns the client that trusts it.
func certificateOf(t *testing.T) (certificate.Files, *http.Client) {
	t.Helper()
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	pair := other.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := certificate.Files{Cert: filepath.Join(t.TempDir(), "c.pem"), Key: filepath.Join(t.TempDir(), "k.pem")}
	for file, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, files.Key: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(other.Certificate())
	return files, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
}

func TestTLS(t *testing.T) {
	files, client := certificateOf(t)
	defer client.CloseIdleConnections()
	p := plan(t)
	p.TLS = &files
	s := ingest.New(p, &producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	url, ended := serve(t, s)
	resp, err := client.Post(strings.Replace(url, "http:", "https:", 1)+"/plain", "application/json", strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 202 || resp.TLS.Version < tls.VersionTLS12 || resp.ProtoMajor != 1 {
		t.Errorf("got %d over %s, TLS %x", resp.StatusCode, resp.Proto, resp.TLS.Version)
	}
	if resp, err := http.Post(url+"/plain", "application/json", strings.NewReader("1")); err == nil {
		if resp.Body.Close(); resp.StatusCode != 400 {
			t.Errorf("without TLS: %d", resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
}

func TestTLSWithoutFiles(t *testing.T) {
	p := plan(t)
	p.TLS = &certificate.Files{Cert: "/nowhere/c.pem", Key: "/nowhere/k.pem"}
	s := ingest.New(p, &producer{}, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
	if _, err := s.Listen(); err == nil || !strings.HasPrefix(err.Error(), "ingest.tls: ") {
		t.Errorf("got %v", err)
	}
}

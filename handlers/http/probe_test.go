package http_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

// selfSigned is a server with a certificate of its own, valid between two times.
func selfSigned(t *testing.T, from, until time.Time) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { t.Error("a probe sent a request") }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestProbeSaysWhatIsWrong(t *testing.T) {
	now := time.Now()
	expired := selfSigned(t, now.AddDate(-2, 0, 0), time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC))
	early := selfSigned(t, now.AddDate(1, 0, 0), now.AddDate(2, 0, 0))
	unknown := selfSigned(t, now.Add(-time.Hour), now.Add(time.Hour))
	plain := newReceiver(t, nil)
	for name, c := range map[string]struct {
		url  handlers.Template
		want string
	}{
		"expired":           {handlertest.Constant(expired.URL), "the receiver's certificate expired at 2025-03-01T12:00:00Z: renew it there"},
		"too early":         {handlertest.Constant(early.URL), "the receiver's certificate is valid only from "},
		"unknown authority": {handlertest.Constant(unknown.URL + "/a"), "unknown authority"},
		"TLS to plain text": {handlertest.Constant(strings.Replace(plain.URL, "http:", "https:", 1)), "first record does not look like a TLS handshake"},
		"plain text to TLS": {handlertest.Constant(strings.Replace(unknown.URL, "https:", "http:", 1)), ""},
		"no such name":      {handlertest.Constant("http://nowhere.invalid/"), "nowhere.invalid"},
		"fine":              {handlertest.Key(plain.URL + "/orders/"), ""},
		"the record's host": {handlertest.Key("http://"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, http.Config{URL: c.url, AllowedHosts: []string{"localhost"}}).(handlers.Prober).Probe(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if field, ok := errors.AsType[*handlers.FieldError](err); err != nil && (!ok || field.Field != "url") {
				t.Errorf("%v is not about the URL", err)
			}
		})
	}
	if got := plain.requests(); len(got) > 0 {
		t.Errorf("the probe sent %v", got)
	}
}

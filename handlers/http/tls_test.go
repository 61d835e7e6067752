package http_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

// party is somebody with a certificate of its own making, in files.
type party struct {
	cert, key string
	pair      tls.Certificate
}

func newParty(t *testing.T, names ...string) *party {
	t.Helper()
	p := &party{cert: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem")}
	p.renew(t, names...)
	return p
}

// renew writes another certificate into the files.
func (p *party) renew(t *testing.T, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{p.cert: {Type: "CERTIFICATE", Bytes: der}, p.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p.pair, err = tls.LoadX509KeyPair(p.cert, p.key); err != nil {
		t.Fatal(err)
	}
}

func (p *party) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.pair.Leaf)
	return pool
}

// The receiver is known by its authority, and knows the client by its certificate;
// both are renewed while the sink is open.
func TestMutualTLSIsRenewed(t *testing.T) {
	receiver, client := newParty(t, "api"), newParty(t)
	r := &receiverOverTLS{receiver: receiver, client: client}
	server := httptest.NewUnstartedServer(r)
	server.TLS = &tls.Config{GetConfigForClient: r.config, NextProtos: []string{"h2", "http/1.1"}}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	sink := open(t, http.Config{
		URL: handlertest.Constant(server.URL),
		TLS: &handlers.TLS{CA: receiver.cert, Cert: client.cert, Key: client.key, ServerName: "api"},
	})
	works := func(want bool, when string) {
		t.Helper()
		_, f := send(t, sink, order("k"))
		for f != nil && f.Class == handlers.Unknown { // by a connection of before
			_, f = send(t, sink, order("k"))
		}
		if (f == nil) != want {
			t.Fatalf("%s: %v", when, f)
		} else if f != nil && (f.Class != handlers.Infrastructure || !f.NotSent) {
			t.Fatalf("%s: %+v", when, f)
		}
		if err := sink.(handlers.Prober).Probe(t.Context()); (err == nil) != want {
			t.Fatalf("%s: probe: %v", when, err)
		}
		server.CloseClientConnections()
	}
	works(true, "at first")
	if r.proto != "HTTP/2.0" {
		t.Errorf("the call came over %s", r.proto)
	}
	receiver.renew(t, "api")
	client.renew(t)
	works(true, "once both were renewed")
	receiver.renew(t, "other")
	works(false, "under another name")
	receiver.renew(t, "api")
	stranger := newParty(t, "api")
	r.receiver = stranger
	works(false, "before a stranger")
	r.receiver = receiver
	if err := os.Remove(client.key); err != nil {
		t.Fatal(err)
	}
	works(false, "without a key")
	client.renew(t)
	works(true, "in the end")
}

type receiverOverTLS struct {
	receiver, client *party
	proto            string
}

func (r *receiverOverTLS) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	return &tls.Config{
		Certificates: []tls.Certificate{r.receiver.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.client.pool(),
		NextProtos: []string{"h2", "http/1.1"},
	}, nil
}

func (r *receiverOverTLS) ServeHTTP(_ nethttp.ResponseWriter, req *nethttp.Request) {
	r.proto = req.Proto
}

func TestTLSWithoutUse(t *testing.T) {
	config := http.Config{URL: handlertest.Constant("http://127.0.0.1/"), Method: "POST", Timeout: time.Second, TLS: &handlers.TLS{}}
	issues := config.Check()
	if len(issues) != 1 || !issues[0].Warning || !strings.Contains(issues[0].Message, "tls has no effect") {
		t.Errorf("%+v", issues)
	}
}

// A receiver that turns the client's certificate down says so only after the client's part
// of the handshake, and what it says may be lost with the connection. It is no record's
// fault: that would empty the topic into the dead letters, a record after the other.
func TestACertificateThatIsTurnedDown(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		for name, given := range map[string]func(t *testing.T) *party{
			"none":          func(*testing.T) *party { return &party{} },
			"of a stranger": func(t *testing.T) *party { return newParty(t) },
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				receiver, client := newParty(t, "api"), newParty(t)
				server := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(204) }))
				server.TLS = &tls.Config{Certificates: []tls.Certificate{receiver.pair}, ClientAuth: tls.RequireAndVerifyClientCert,
					ClientCAs: client.pool(), MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}}
				server.EnableHTTP2 = protocol == "h2"
				server.Config.ErrorLog = log.New(io.Discard, "", 0)
				server.StartTLS()
				defer server.Close()
				calls := func(by *party) (classes map[handlers.Class]int) {
					sink := open(t, http.Config{URL: handlertest.Constant(server.URL),
						TLS: &handlers.TLS{CA: receiver.cert, Cert: by.cert, Key: by.key, ServerName: "api"}})
					classes = map[handlers.Class]int{}
					for range 20 {
						if _, f := send(t, sink, order("k")); f != nil {
							classes[f.Class]++
							if f.Class == handlers.Infrastructure && !f.NotSent && !f.Suspect {
								t.Errorf("%+v", f)
							}
						}
					}
					return classes
				}
				if got := calls(given(t)); got[handlers.Infrastructure] != 20 {
					t.Errorf("classes %v of 20 calls", got)
				}
				if got := calls(client); len(got) > 0 {
					t.Errorf("with the certificate: %v", got)
				}
			})
		}
	}
}

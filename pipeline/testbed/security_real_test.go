//go:build real

package testbed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

func TestRealListenersLetInWhomTheyShould(t *testing.T) {
	certs := newCertificates(t)
	k := kafkacluster.Need(t, kafkacluster.Options{Security: &kafkacluster.Security{
		Users: map[string]string{"app": "s3cret"}, Certificates: certs,
	}})
	now := time.Now()
	for _, tt := range []struct {
		name        string
		right, not  sasl.Mechanism
		refusedWith string
	}{
		{"plain", plain.Auth{User: "app", Pass: "s3cret"}.AsMechanism(),
			plain.Auth{User: "app", Pass: "wrong"}.AsMechanism(), "SASL_AUTHENTICATION_FAILED"},
		{"scram-sha-256", scram.Auth{User: "app", Pass: "s3cret"}.AsSha256Mechanism(),
			scram.Auth{User: "app", Pass: "wrong"}.AsSha256Mechanism(), "SASL_AUTHENTICATION_FAILED"},
		{"scram-sha-512", scram.Auth{User: "app", Pass: "s3cret"}.AsSha512Mechanism(),
			scram.Auth{User: "app", Pass: "wrong"}.AsSha512Mechanism(), "SASL_AUTHENTICATION_FAILED"},
		{"oauthbearer", oauth.Auth{Token: kafkacluster.BearerToken("app", now, now.Add(time.Hour))}.AsMechanism(),
			oauth.Auth{Token: kafkacluster.BearerToken("app", now, now.Add(-time.Hour))}.AsMechanism(), "invalid_token"},
	} {
		expectPing(t, k, tt.name, kafkacluster.SASL, "", kgo.SASL(tt.right))
		expectPing(t, k, tt.name+" over TLS", kafkacluster.SASLTLS, "", kgo.SASL(tt.right), dialTLS(t, certs.CA, nil))
		expectPing(t, k, tt.name+", wrong", kafkacluster.SASL, tt.refusedWith, kgo.SASL(tt.not))
		expectPing(t, k, tt.name+" over TLS, wrong", kafkacluster.SASLTLS, tt.refusedWith, kgo.SASL(tt.not), dialTLS(t, certs.CA, nil))
	}
	expectPing(t, k, "no user", kafkacluster.SASL, "SASL is required")
	expectPing(t, k, "TLS", kafkacluster.TLS, "", dialTLS(t, certs.CA, nil))
	expectPing(t, k, "TLS with another authority", kafkacluster.TLS, "unknown authority", dialTLS(t, certs.OtherCA, nil))
	expectPing(t, k, "expired server", kafkacluster.ExpiredTLS, "expired", dialTLS(t, certs.CA, nil))
	expectPing(t, k, "no client certificate", kafkacluster.MutualTLS, "bad certificate", dialTLS(t, certs.CA, nil))
	expectPing(t, k, "client certificate", kafkacluster.MutualTLS, "", dialTLS(t, certs.CA, &certs.Client))
	expectPing(t, k, "expired client certificate", kafkacluster.MutualTLS, "certificate", dialTLS(t, certs.CA, &certs.ExpiredClient))
	expectPing(t, k, "client of another authority", kafkacluster.MutualTLS, "certificate", dialTLS(t, certs.CA, &certs.OtherClient))
}

func newCertificates(t *testing.T) *certificates.Set {
	t.Helper()
	certs, err := certificates.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// expectPing asks a listener for an answer; want is a part of the error, ""
// where it must answer.
func expectPing(t *testing.T, k *kafkacluster.Cluster, name string, l kafkacluster.Listener, want string, opts ...kgo.Opt) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	opts = append(opts, kgo.SeedBrokers(k.Addresses(l)...), kgo.RequestRetries(0), kgo.RetryTimeout(5*time.Second))
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.Ping(ctx)
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

func dialTLS(t *testing.T, ca string, client *certificates.Pair) kgo.Opt {
	t.Helper()
	config := &tls.Config{RootCAs: pool(t, ca)}
	if client != nil {
		pair, err := tls.LoadX509KeyPair(client.Cert, client.Key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return kgo.DialTLSConfig(config)
}

func pool(t *testing.T, ca string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

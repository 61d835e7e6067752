//go:build real

package kafka

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

var mechanisms = []string{"Plain", "scram-sha-256", "SCRAM-SHA-512", "OAuthBearer"}

func credentials(mechanism string) *SASL {
	if strings.EqualFold(mechanism, "oauthbearer") {
		return &SASL{Mechanism: mechanism, Token: handlers.Secret(kafkacluster.BearerToken(user, time.Now(), time.Now().Add(time.Hour)))}
	}
	return &SASL{Mechanism: mechanism, Username: user, Password: password}
}

func (l *log) check(t *testing.T, secrets ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range append(secrets, password) {
		if strings.Contains(l.out.String(), s) {
			t.Error("a secret was logged")
		}
	}
}

// TestRealSecureWays goes through the admin client, the publisher and the
// subscriber on every listener with every mechanism.
func TestRealSecureWays(t *testing.T) {
	k, c := apache.Kafka(t), apache.certificates
	trust := &TLS{CA: c.CA}
	ways := map[string]Settings{
		"tls":        {Brokers: k.Addresses(kafkacluster.TLS), TLS: trust},
		"mutual tls": {Brokers: k.Addresses(kafkacluster.MutualTLS), TLS: &TLS{CA: c.CA, Cert: c.Client.Cert, Key: c.Client.Key}},
	}
	for _, m := range mechanisms {
		ways[m] = Settings{Brokers: k.Addresses(kafkacluster.SASL), SASL: credentials(m)}
		ways[m+" over tls"] = Settings{Brokers: k.Addresses(kafkacluster.SASLTLS), TLS: trust, SASL: credentials(m)}
	}
	for name, settings := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := realBed(t)
			b.settings = settings
			var logged log
			admin, err := NewAdmin(settings, logged.deps())
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			if err := admin.Ping(within(t, patience), nil); err != nil {
				t.Fatal(err)
			}
			topic := b.name("orders")
			if _, err := admin.CreateTopics(within(t, patience), []string{topic}, 1, 1, nil); err != nil {
				t.Fatal(err)
			}
			p, err := NewPublisher(settings, logged.deps())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Produce(within(t, patience), numberedRecords(topic, 10)); err != nil {
				t.Fatal(err)
			}
			s, err := NewSubscriber(settings, b.source("orders"), logged.deps())
			if err != nil {
				t.Fatal(err)
			}
			r := b.read(s, nil)
			b.eventually("10 records", func() bool { return r.count() == 10 })
			r.close(t)
			if sasl := settings.SASL; sasl != nil && sasl.Token != "" {
				logged.check(t, string(sasl.Token))
			}
			logged.check(t)
		})
	}
}

// TestRealSecureFaults wants every fault told at start, with the key to mend.
func TestRealSecureFaults(t *testing.T) {
	k, c := apache.Kafka(t), apache.certificates
	trust := &TLS{CA: c.CA}
	const wrong = "canary-of-a-wrong-password"
	stale := handlers.Secret(kafkacluster.BearerToken(user, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))
	for name, f := range map[string]struct {
		listener kafkacluster.Listener
		tls      *TLS
		sasl     *SASL
		want     string
		// waits tells that a broker which is starting looks the same.
		waits bool
	}{
		"authority of another":   {kafkacluster.TLS, &TLS{CA: c.OtherCA}, nil, "kafka.tls.ca", false},
		"the system's roots":     {kafkacluster.TLS, &TLS{}, nil, "kafka.tls.ca", false},
		"expired":                {kafkacluster.ExpiredTLS, trust, nil, "has expired", false},
		"no certificate":         {kafkacluster.MutualTLS, trust, nil, "kafka.tls.cert", false},
		"certificate of another": {kafkacluster.MutualTLS, &TLS{CA: c.CA, Cert: c.OtherClient.Cert, Key: c.OtherClient.Key}, nil, "kafka.tls.cert", false},
		"tls on plain text":      {kafkacluster.Plaintext, trust, nil, "take kafka.tls out", true},
		"plain text on tls":      {kafkacluster.TLS, nil, nil, "set kafka.tls", false},
		"sasl on plain text":     {kafkacluster.Plaintext, nil, credentials("plain"), "take kafka.sasl out", false},
		"sasl on tls alone":      {kafkacluster.TLS, trust, credentials("plain"), "take kafka.sasl out", false},
		"no tls on both":         {kafkacluster.SASLTLS, nil, credentials("plain"), "set kafka.tls", false},
		"nothing on sasl":        {kafkacluster.SASL, nil, nil, "kafka.sasl", true},
		"nothing on both":        {kafkacluster.SASLTLS, trust, nil, "kafka.sasl", true},
		"plain":                  {kafkacluster.SASL, nil, &SASL{Mechanism: "plain", Username: user, Password: wrong}, "kafka.sasl.password", false},
		"scram-sha-256":          {kafkacluster.SASL, nil, &SASL{Mechanism: "scram-sha-256", Username: user, Password: wrong}, "kafka.sasl.password", false},
		"scram-sha-512":          {kafkacluster.SASLTLS, trust, &SASL{Mechanism: "scram-sha-512", Username: user, Password: wrong}, "kafka.sasl.password", false},
		"oauthbearer":            {kafkacluster.SASLTLS, trust, &SASL{Mechanism: "oauthbearer", Token: stale}, "kafka.sasl.token", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged log
			settings := Settings{Brokers: k.Addresses(f.listener), TLS: f.tls, SASL: f.sasl}
			admin, err := NewAdmin(settings, logged.deps())
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			limit := patience
			if f.waits {
				limit = 4 * time.Second
			}
			begun := time.Now()
			pinged := admin.Ping(within(t, limit), nil)
			if took := time.Since(begun); took > soon {
				t.Errorf("it took %v", took)
			}
			_, listed := admin.Topics(within(t, patience))
			for what, err := range map[string]error{"ping": pinged, "topics": listed} {
				if err == nil || !strings.Contains(err.Error(), f.want) {
					t.Errorf("%s: %v, want %q", what, err, f.want)
				}
				if err != nil && (strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), string(stale))) {
					t.Errorf("%s tells a secret", what)
				}
			}
			logged.check(t, wrong, string(stale))
		})
	}
}

// TestRealCertificateIsRenewedWithoutRestart replaces a client's certificate
// under both libraries, and has them connect anew.
func TestRealCertificateIsRenewedWithoutRestart(t *testing.T) {
	k, c := apache.Kafka(t), apache.certificates
	dir := t.TempDir()
	files := TLS{CA: c.CA, Cert: dir + "/cert.pem", Key: dir + "/key.pem"}
	install := func(p certificates.Pair) {
		for from, to := range map[string]string{p.Cert: files.Cert, p.Key: files.Key} {
			text, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	install(c.OtherClient)
	b := realBed(t)
	b.topic("orders", 1)
	b.settings = Settings{Brokers: k.Addresses(kafkacluster.MutualTLS), TLS: &files}
	p := b.publisher()
	write := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return p.Produce(ctx, numberedRecords(b.name("orders"), 10))
	}
	r := b.read(b.subscriber(b.source("orders")), nil)
	if err := write(); err == nil {
		t.Fatal("a stranger's certificate was taken")
	}
	install(c.Client)
	b.eventually("a write with the new certificate", func() bool { return write() == nil })
	b.eventually("10 records", func() bool { return r.count() == 10 })
	r.close(t)
}

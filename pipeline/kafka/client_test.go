package kafka

import (
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestBothClientsAgreeOnTheSettings(t *testing.T) {
	codecs := map[string]struct {
		kgo    kgo.CompressionCodec
		sarama sarama.CompressionCodec
	}{
		"":       {kgo.NoCompression(), sarama.CompressionNone},
		"none":   {kgo.NoCompression(), sarama.CompressionNone},
		"gzip":   {kgo.GzipCompression(), sarama.CompressionGZIP},
		"snappy": {kgo.SnappyCompression(), sarama.CompressionSnappy},
		"lz4":    {kgo.Lz4Compression(), sarama.CompressionLZ4},
		"zstd":   {kgo.ZstdCompression(), sarama.CompressionZSTD},
	}
	for name, want := range codecs {
		t.Run("compression "+name, func(t *testing.T) {
			c, err := newCluster(Settings{Brokers: []string{"a:1", "b:2"}, ClientID: "shop", Rack: "eu-1a", Compression: name})
			if err != nil {
				t.Fatal(err)
			}
			conf, err := c.saramaConfig()
			if err != nil {
				t.Fatal(err)
			}
			client, err := kgo.NewClient(c.kgoOptions(slog.New(slog.DiscardHandler))...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			equal := func(what string, got, want any) {
				t.Helper()
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s (-want +got):\n%s", what, d)
				}
			}
			equal("brokers", client.OptValue(kgo.SeedBrokers), c.brokers)
			equal("client id", client.OptValue(kgo.ClientID), conf.ClientID)
			equal("rack", client.OptValue(kgo.Rack), conf.RackID)
			equal("dial timeout", client.OptValue(kgo.DialTimeout), conf.Net.DialTimeout)
			equal("request timeout", client.OptValue(kgo.RequestTimeoutOverhead), conf.Net.ReadTimeout)
			equal("kgo compression", client.OptValue(kgo.ProducerBatchCompression).([]kgo.CompressionCodec)[0] == want.kgo, true)
			equal("sarama compression", conf.Producer.Compression, want.sarama)
		})
	}
}

func TestTheProducerIsSafe(t *testing.T) {
	c, err := newCluster(Settings{Brokers: []string{"a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := c.saramaConfig()
	if err != nil {
		t.Fatal(err)
	}
	solo, err := c.soloConfig()
	if err != nil {
		t.Fatal(err)
	}
	for name, conf := range map[string]*sarama.Config{"shared": shared, "solo": solo} {
		if conf.Producer.RequiredAcks != sarama.WaitForAll || !conf.Producer.Idempotent || conf.Net.MaxOpenRequests != 1 {
			t.Errorf("%s: acks %v, idempotent %v, %d open requests", name, conf.Producer.RequiredAcks, conf.Producer.Idempotent, conf.Net.MaxOpenRequests)
		}
		if lasting := time.Duration(conf.Producer.Retry.Max) * conf.Producer.Retry.Backoff; lasting < 30*time.Second {
			t.Errorf("%s: retries last %v, want 30s at least", name, lasting)
		}
		if !conf.Version.IsAtLeast(sarama.V2_8_0_0) || conf.Metadata.AllowAutoTopicCreation || conf.ClientID != "millrace" {
			t.Errorf("%s: version %v, auto creation %v, client id %q", name, conf.Version, conf.Metadata.AllowAutoTopicCreation, conf.ClientID)
		}
	}
	if shared.Producer.MaxMessageBytes >= 1<<20 {
		t.Errorf("a batch may grow to %d bytes: brokers refuse it by default", shared.Producer.MaxMessageBytes)
	}
	if solo.Producer.MaxMessageBytes != int(sarama.MaxRequestSize)-1 || solo.Producer.Flush.MaxMessages != 1 {
		t.Errorf("a lone record may have %d bytes, in batches of %d", solo.Producer.MaxMessageBytes, solo.Producer.Flush.MaxMessages)
	}
}

func TestRefusesSettings(t *testing.T) {
	for name, s := range map[string]Settings{
		"no brokers":          {},
		"unknown compression": {Brokers: []string{"a:1"}, Compression: "rar"},
		"no user":             {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "plain", Password: "p"}},
		"no password":         {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "scram-sha-256", Username: "u"}},
		"no token":            {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "OAuthBearer", Username: "u", Password: "p"}},
		"unknown mechanism":   {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "gssapi", Username: "u", Password: "p"}},
	} {
		if _, err := newCluster(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

//go:build real

package kafka

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/testbed"
	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
)

// apache is the cluster that the tests on Apache Kafka share. The one with three
// nodes belongs to its test alone.
var apache struct {
	testbed.Bed
	certificates *certificates.Set
	// beds counts those who came.
	beds atomic.Int64
}

// The only user, and what must not be seen of it.
const (
	user     = "app"
	password = "canary-of-the-password"
)

// TestMain runs the tests, unless the binary has another role.
func TestMain(m *testing.M) {
	if playRole() {
		return
	}
	dir, err := os.MkdirTemp("", "millrace-certificates-")
	if err != nil {
		fail(err)
	}
	if apache.certificates, err = certificates.New(dir); err != nil {
		fail(err)
	}
	apache.KafkaOptions = kafkacluster.Options{
		// Short sessions and a cleaner that does not tarry keep the tests short.
		Properties: map[string]string{"group.min.session.timeout.ms": "1000", "log.cleaner.backoff.ms": "500"},
		Security:   &kafkacluster.Security{Users: map[string]string{user: password}, Certificates: apache.certificates},
	}
	code := apache.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

func realSettings(t testing.TB) Settings {
	t.Helper()
	return Settings{Brokers: apache.Kafka(t).Brokers()}
}

// realBed is a client beside the product on the shared cluster, with topics and
// groups of its own.
func realBed(t *testing.T) *bed {
	t.Helper()
	b := bedOn(t, realSettings(t))
	b.suffix = fmt.Sprintf("-%d-%d", apache.beds.Add(1), time.Now().UnixNano()%1e9)
	return b
}

//go:build unix

package kafkacluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/testbed/process"
)

func TestParseBrokers(t *testing.T) {
	const (
		head  = "\x00\x00\x00\x07"
		one   = "\x00\x00\x00\x01" + "\x00\x09" + "127.0.0.1" + "\x00\x00\x23\x84" + "\xff\xff"
		two   = "\x00\x00\x00\x02" + "\x00\x01" + "h" + "\x00\x00\x23\x84" + "\x00\x02" + "eu"
		count = "\x00\x00\x00\x02"
		rest  = "\x00\x00\x00\x01" + "\x00\x00\x00\x00"
	)
	got, err := parseBrokers([]byte(head + count + one + two + rest))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" {
		t.Error(diff)
	}
	whole := head + count + one + two
	for cut := range len(whole) {
		if got, err := parseBrokers([]byte(whole[:cut])); err == nil {
			t.Errorf("cut at %d: got %v and no error", cut, got)
		}
	}
}

func TestServerProperties(t *testing.T) {
	k := &Cluster{options: Options{
		Dir: t.TempDir(), Nodes: 3, Port: 0, Properties: map[string]string{"num.partitions": "12"},
		Security: &Security{Users: map[string]string{"app": "s3cret"}},
	}, ports: &process.Ports{}}
	defer k.Close()
	if err := k.prepare(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(k.options.Dir, "node2", "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"node.id=2", "num.partitions=12", "default.replication.factor=3", "min.insync.replicas=2",
		"inter.broker.listener.name=PLAINTEXT", "PLAINTEXT://" + k.Brokers()[1], "SASL://" + k.Addresses(SASL)[1],
		`listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_app="s3cret";`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if got := k.Addresses(TLS); got != nil {
		t.Errorf("without certificates there is TLS on %v", got)
	}
	if got := len(k.options.Security.scramUsers()); got != 4 {
		t.Errorf("got %d arguments for users, want 4", got)
	}
}

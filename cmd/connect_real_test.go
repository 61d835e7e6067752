//go:build real

package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/kafkacluster"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// validate --connect writes nothing to a cluster and a Redis that were never
// used, although that cluster makes topics for whoever asks, and nothing to
// those that were. Then it tells what would stop a run.
func TestRealConnectWritesNothing(t *testing.T) {
	certificates, err := certificates.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := kafkacluster.Need(t, kafkacluster.Options{
		Properties: map[string]string{"auto.create.topics.enable": "true"},
		Security:   &kafkacluster.Security{Certificates: certificates, Users: map[string]string{"app": "s3cret-of-app"}},
	})
	redis := redisserver.Need(t, redisserver.Options{})
	b := bed{brokers: k.Brokers(), store: redis.URL()}
	url, requests := silent(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", connectFile(b, url))
	changes := func() string {
		t.Helper()
		info, err := redis.Run(t.Context(), "INFO")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := redis.Run(t.Context(), "DBSIZE")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(info) {
			if strings.HasPrefix(line, "rdb_changes_since_last_save:") {
				return strings.TrimSpace(line) + ", keys " + strings.TrimSpace(keys)
			}
		}
		t.Fatalf("redis tells no changes:\n%s", info)
		return ""
	}
	same := func(code int, says string) string {
		t.Helper()
		var groups []string
		internal, err := b.admin(t, "").Topics(t.Context(), "__consumer_offsets")
		if err != nil {
			t.Fatal(err)
		}
		if len(internal) > 0 {
			groups = append(groups, "copy")
		}
		files, held, stored, sent := tree(t, dir), holdings(t, b, "", groups...), changes(), requests.Load()
		out := expect(t, dir, code, says, "validate", "--connect")
		if diff := cmp.Diff(files, tree(t, dir)); diff != "" {
			t.Errorf("files changed:\n%s", diff)
		}
		if diff := cmp.Diff(held, holdings(t, b, "", groups...)); diff != "" {
			t.Errorf("the cluster changed:\n%s", diff)
		}
		after, err := b.admin(t, "").Topics(t.Context(), "__consumer_offsets")
		if err != nil || len(after) != len(internal) {
			t.Errorf("the topic of the groups was made: %v", err)
		}
		if now := changes(); now != stored {
			t.Errorf("redis changed from %s to %s", stored, now)
		}
		if n := requests.Load() - sent; n != 0 {
			t.Errorf("the receiver was sent %d requests", n)
		}
		return out
	}
	if out := same(3, `the source topic "orders" does not exist`); strings.Count(out, "[MR1") != 3 {
		t.Errorf("three topics are missing, got\n%s", out)
	}
	expect(t, dir, 0, "3 changes made", "topics", "apply", "--yes")
	same(0, "1 broker, 3 topics, 1 group looked at")
	expect(t, dir, 0, "", "publish", "orders", `{"order_id": "o-1"}`, `{"order_id": "o-2"}`)
	expect(t, dir, 0, "", "run", "--until-end")
	if n := requests.Load(); n != 2 {
		t.Fatalf("%d orders were delivered, want 2", n)
	}
	same(0, "valid: 1 pipeline, 0 warnings")

	// The store forgets: a run would block.
	if _, err := redis.Run(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	same(3, "the key store has lost the keys that the group \"copy\" recorded")
	if _, err := redis.Run(t.Context(), "CONFIG", "SET", "maxmemory-policy", "allkeys-lru"); err != nil {
		t.Fatal(err)
	}
	same(3, "its maxmemory-policy is allkeys-lru")
	expect(t, dir, 0, "", "keys", "accept-reset", "--yes")
	if out := same(3, "allkeys-lru"); strings.Contains(out, "MR112") {
		t.Errorf("the loss was accepted:\n%s", out)
	}

	// A certificate that has expired is named with its date, credentials that are
	// wrong with their keys.
	yesterday := time.Now().Add(-24 * time.Hour).UTC().Format("2006-01-02")
	for _, c := range []struct{ blocks, says string }{
		{fmt.Sprintf("kafka: {brokers: [%q], tls: {ca: %q}}\n", k.Addresses(kafkacluster.ExpiredTLS)[0], certificates.CA), "has expired"},
		{fmt.Sprintf("kafka: {brokers: [%q], tls: {ca: %q}}\n", k.Addresses(kafkacluster.ExpiredTLS)[0], certificates.CA), yesterday},
		{fmt.Sprintf("kafka: {brokers: [%q], sasl: {mechanism: plain, username: app, password: wrong-s3cret}}\n", k.Addresses(kafkacluster.SASL)[0]), "check kafka.sasl.username and kafka.sasl.password"},
	} {
		write(t, dir, "pipelines.yaml", c.blocks+"pipelines: {copy: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}]}}\n")
		if out := expect(t, dir, 3, c.says, "validate", "--connect"); strings.Contains(out, "wrong-s3cret") || strings.Count(out, "[MR1") != 1 {
			t.Errorf("want one problem:\n%s", out)
		}
	}
}

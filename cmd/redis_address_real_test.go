//go:build real

package cmd

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/certificates"
	"github.com/millrace/millrace/pipeline/testbed/redisserver"
)

// rediss:// with a user that may do no more than the documents say, a database
// and a prefix.
func TestRealRedisTLSAndUser(t *testing.T) {
	certificates, err := certificates.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	redis := redisserver.Need(t, redisserver.Options{
		Certificates: certificates, Password: "the-default-users",
		Users: []string{"app on >h@sh/ed ~shop:* " + redisRules},
	})
	b := kafkaAndRedis(t)
	b.create(t, 6, "orders", "invoices", "dead")
	address := func(user, password string) string {
		u := url.URL{Scheme: "rediss", User: url.UserPassword(user, password), Host: redis.Addr(), Path: "/3", RawQuery: "prefix=shop:"}
		return u.String()
	}
	receiver := newAccount(t)
	refused := func(store, says string) {
		t.Helper()
		b.store = store
		dir := t.TempDir()
		write(t, dir, "pipelines.yaml", notifyFile(b, receiver))
		code, out, errs := millrace(t, dir, "run")
		if code != 1 || !strings.Contains(errs, "idempotency.store") || !strings.Contains(errs, says) || strings.Contains(out+errs, "h@sh") || strings.Contains(out+errs, "h%40sh") {
			t.Errorf("code %d, want 1 with %q and no password:\n%s%s", code, says, out, errs)
		}
	}
	refused(address("app", "h@sh/ed"), "certificate")
	t.Setenv("SSL_CERT_FILE", certificates.CA)
	refused(address("app", "h@sh/ed-wrong"), "WRONGPASS")
	// Without TLS the server closes the connection, as one does that is starting.
	waits(t, b, receiver, strings.Replace(address("app", "h@sh/ed"), "rediss:", "redis:", 1), "h@sh")

	b.store = address("app", "h@sh/ed")
	p := notify(t, b, receiver)
	b.send(t, "", b.orders(0, 50))
	b.send(t, "", b.orders(0, 50))
	b.ended(t, p)
	receiver.once(t, 50)
	if code, out, errs := millrace(t, p.dir, "keys", "get", b.name("invoices"), "order:o-1"); code != 0 || !strings.Contains(out, "confirmed") {
		t.Errorf("keys get: code %d\n%s%s", code, out, errs)
	}
	if keys, err := redis.Run(t.Context(), "-n", "3", "DBSIZE"); err != nil || !strings.Contains(keys, "51") {
		t.Errorf("database 3 holds %q keys, want 50 and the epoch: %v", keys, err)
	}
	if strings.Contains(p.log(), "h@sh") {
		t.Error("the log has the password")
	}
}

// What a user of Redis must be allowed to, as docs/redis.md says.
const redisRules = "+@connection +evalsha +eval +info +config|get +time +get +set +del +hset +hsetnx +hget +hincrby"

func TestRealRedisThatEvicts(t *testing.T) {
	redis := redisserver.Need(t, redisserver.Options{Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}})
	b := kafkaAndRedis(t)
	b.store = redis.URL()
	b.create(t, 6, "orders", "invoices", "dead")
	receiver := newAccount(t)
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", notifyFile(b, receiver))
	code, _, errs := millrace(t, dir, "run")
	if code != 1 || !strings.Contains(errs, "maxmemory-policy is allkeys-lru") || !strings.Contains(errs, "idempotency.allow_eviction") {
		t.Errorf("code %d:\n%s", code, errs)
	}
	p := notify(t, b, receiver, "allow_eviction: true")
	if !strings.Contains(p.log(), "redis may evict keys") {
		t.Error("it starts without a warning")
	}
}

// A Redis that is not there is waited for, and said without its password.
func TestRealRedisNotThere(t *testing.T) {
	b := kafkaAndRedis(t)
	b.create(t, 6, "orders", "invoices", "dead")
	log := waits(t, b, newAccount(t), fmt.Sprintf("redis://app:hush@127.0.0.1:%d/0", freePort(t)), "hush")
	if !strings.Contains(log, "refused") {
		t.Errorf("the log does not say why it waits:\n%s", log)
	}
}

// waits runs a pipeline on a store that can't be opened now, until it says that it
// waits, and returns its log, which does not hold the password.
func waits(t *testing.T, b bed, receiver *account, store, password string) string {
	t.Helper()
	b.store = store
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", notifyFile(b, receiver))
	p := launch(t, dir, "run")
	p.await("it says that it waits", func() bool { return strings.Contains(p.log(), `"waiting_for":"the key store"`) })
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(p.log(), password) || strings.Contains(p.log(), url.QueryEscape(password)) {
		t.Errorf("the log has the password:\n%s", p.log())
	}
	return p.log()
}

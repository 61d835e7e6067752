//go:build real

package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/rueidis"

	"github.com/millrace/millrace/pipeline/idempotency"
)

func TestRealReaderWritesNothing(t *testing.T) {
	s := startServer(t)
	reader, err := OpenReader(s.url("/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if rows, now, err := reader.Get(t.Context(), []idempotency.ID{{1}}); err != nil || rows[0] != nil || time.Since(now).Abs() > time.Minute {
		t.Fatal(rows, now, err)
	}
	if keys := keysOf(t, reader.client); len(keys) > 0 {
		t.Errorf("looking at an empty store left %q", keys)
	}

	store := open(t, s.url("/0"), Options{})
	run := idempotency.NewRun()
	done, claimed := aClaim(run), aClaim(run)
	claimed.ID = idempotency.ID{2}
	done.Answer = "201"
	if _, err := store.Claim(t.Context(), []idempotency.Claim{done, claimed}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{done}); err != nil {
		t.Fatal(err)
	}
	before := dump(t, reader.client)
	ids := []idempotency.ID{done.ID, claimed.ID, {3}}
	rows, _, err := reader.Get(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, dump(t, reader.client)); diff != "" {
		t.Errorf("looking changed the store: %s", diff)
	}
	want, err := store.Get(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rows); diff != "" || rows[0].Answer != "201" || rows[2] != nil {
		t.Errorf("%+v %s", rows, diff)
	}
}

func keysOf(t *testing.T, client rueidis.Client) []string {
	t.Helper()
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// dump is all that the server holds.
func dump(t *testing.T, client rueidis.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range keysOf(t, client) {
		text, err := client.Do(t.Context(), client.B().Dump().Key(key).Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		all[strings.Clone(key)] = text
	}
	return all
}

// On a Redis that is full a person looks at keys and forgets them, which makes
// room: neither needs a write.
func TestRealFullRedisIsReadAndCleared(t *testing.T) {
	s := startServer(t)
	store := open(t, s.url("/0"), Options{})
	claim := aClaim(idempotency.NewRun())
	if _, err := store.Claim(t.Context(), []idempotency.Claim{claim}); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReader(s.url("/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.client.Do(t.Context(), reader.client.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", "1").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), []idempotency.ID{claim.ID}); err == nil {
		t.Fatal("the store, which counts its batches, writes: Redis is not full")
	}
	ids := []idempotency.ID{claim.ID, {9}}
	if rows, _, err := reader.Get(t.Context(), ids); err != nil || rows[0] == nil || rows[1] != nil {
		t.Fatal(rows, err)
	}
	if were, err := reader.Delete(t.Context(), ids); err != nil || !were[0] || were[1] {
		t.Fatal(were, err)
	}
	if rows, _, err := reader.Get(t.Context(), ids); err != nil || rows[0] != nil {
		t.Fatal(rows, err)
	}
}

// Who may do no more than the page on Redis says can list too, of its own prefix
// alone, whatever that holds, and writes nothing.
func TestRealReaderLists(t *testing.T) {
	s := startServer(t)
	admin := open(t, s.url("/0?prefix=other:"), Options{})
	admin.do(t, "ACL", "SETUSER", "app", "on", ">secret", "~a*b:*", "+@connection", "+evalsha", "+eval", "+info", "+config|get", "+time",
		"+get", "+set", "+del", "+hset", "+hsetnx", "+hget", "+hincrby", "+scan")
	run := idempotency.NewRun()
	if _, err := admin.Claim(t.Context(), []idempotency.Claim{aClaim(run)}); err != nil {
		t.Fatal(err)
	}
	admin.do(t, "SET", "aXb:k:stranger", "no row")
	address := "redis://app:secret@" + s.addr + "/0?prefix=a*b:"
	claim := aClaim(run)
	if _, err := open(t, address, Options{}).Claim(t.Context(), []idempotency.Claim{claim}); err != nil {
		t.Fatal(err)
	}
	before := dump(t, admin.client)
	reader, err := OpenReader(address)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	found, err := reader.List(t.Context(), "", 100)
	if err != nil || len(found.Keys) != 1 || found.Keys[0].External != claim.ID.External() || found.Keys[0].Row.State != idempotency.Claimed || found.Next != "" || found.Bytes == 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := reader.List(t.Context(), "7@gone:1", 100); err == nil || !strings.Contains(err.Error(), "begin anew") {
		t.Errorf("of a server that is gone: %v", err)
	}
	if diff := cmp.Diff(before, dump(t, admin.client)); diff != "" {
		t.Errorf("listing changed the store: %s", diff)
	}
}

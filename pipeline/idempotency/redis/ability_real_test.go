//go:build real

package redis

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

// What a Redis can do is found out by trying, and nothing is left of that.
func TestRealAbilities(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		user  []string
		plain bool
	}{
		"all":                {plain: true},
		"an older server":    {args: []string{"--rename-command", "PEXPIRETIME", ""}},
		"rules of before":    {user: []string{"+evalsha", "+eval", "+info", "+config|get", "+time", "+get", "+set", "+del", "+hset", "+hsetnx", "+hget", "+hincrby"}},
		"rules of the pages": {user: []string{"+evalsha", "+eval", "+info", "+config|get", "+time", "+get", "+set", "+del", "+hset", "+hsetnx", "+hget", "+hincrby", "+pexpiretime"}, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, c.args...)
			admin := single(t, server.addr)
			address := server.url("")
			if c.user != nil {
				rules := slices.Concat([]string{"ACL", "SETUSER", "app", "on", ">secret", "~millrace:*", "+@connection"}, c.user)
				if err := admin.Do(t.Context(), admin.B().Arbitrary(rules...).Build()).Error(); err != nil {
					t.Fatal(err)
				}
				address = "redis://app:secret@" + server.addr
			}
			store := open(t, address, Options{})
			if want := (ability{plain: c.plain, together: true}); store.able != want {
				t.Errorf("it can do %+v, want %+v", store.able, want)
			}
			if keys := keysOf(t, admin); len(keys) != 1 || keys[0] != DefaultPrefix+"epoch" {
				t.Errorf("trying left %q", keys)
			}
			claimsMany(t, store)
			run := idempotency.NewRun()
			claim := aClaim(run)
			again := claim
			again.Token = run.Next()
			for i, want := range []idempotency.Answer{idempotency.Go, idempotency.Busy} {
				if answer, err := store.one(t, []idempotency.Claim{claim, again}[i]); err != nil || answer != want {
					t.Errorf("%v, %v, want %v", answer, err, want)
				}
			}
			raw, err := admin.Do(t.Context(), admin.B().Get().Key(store.key(claim.ID)).Build()).ToString()
			if err != nil || isPlain(raw) != c.plain {
				t.Errorf("the row of a claim is % x, %v", raw, err)
			}
		})
	}
}

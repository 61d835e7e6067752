package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/redis/rueidis"
)

// ability is what a Redis can do beyond running the script of a row, which all can.
type ability struct {
	// plain is to claim by SET … NX GET and to tell when a key's life ends: Redis 7
	// and what came from it, where the user may PEXPIRETIME. The time that comes
	// back must be that of the server which has the key, so that of a Cluster
	// nothing is claimed so.
	plain bool
	// together is to run a script on keys that nothing but chance put together.
	together bool
}

// learn finds out by trying, since neither the version nor the commands that a
// server lists tell what it and its rules for this user come to. It leaves nothing
// there.
func (s *Store) learn(ctx context.Context) error {
	if s.client.Mode() == rueidis.ClientModeCluster {
		return nil
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	name := s.prefix + "try:" + hex.EncodeToString(id[:])
	set := func(value string) rueidis.Completed {
		one := call{keys: []string{name}, args: []string{value, "1000"}}
		return one.by(s.client, true)
	}
	many := call{script: s.confirms, keys: []string{name, name + "+"}, args: []string{"1", "0", "", "", "", "", "", ""}}
	results := s.client.DoMulti(ctx, set("first"), set("second"),
		s.client.B().Arbitrary("PEXPIRETIME").Keys(name).Build(), s.client.B().Del().Key(name).Build(),
		many.by(s.client, false))
	for _, r := range results {
		if err := r.NonRedisError(); err != nil {
			return fmt.Errorf("try what it can do: %w", err)
		}
	}
	_, fresh := results[0].ToString()
	kept, _ := results[1].ToString()
	ends, _ := results[2].AsInt64()
	others, _ := results[4].AsIntSlice()
	s.able.together = len(others) == len(many.keys)
	// Where keys are kept apart, so are their clocks.
	s.able.plain = s.able.together && rueidis.IsRedisNil(fresh) && kept == "first" && ends > 0
	if !s.able.plain {
		s.opts.Logger.Info("key store: claims by a script, which takes longer: redis is older than 7, keeps keys "+
			"apart, or does not let its user PEXPIRETIME", "confirms_together", s.able.together)
	}
	return nil
}

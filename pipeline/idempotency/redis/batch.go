package redis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/redis/rueidis"
)

//go:embed row.lua
var rowText string

//go:embed epoch.lua
var epochText string

// script is a Lua script with what the server knows it by.
type script struct{ text, digest string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text: text, digest: hex.EncodeToString(sum[:])}
}

// call is one command: a run of a script on keys or, without one, a plain claim of
// a key, whose arguments are the row and how many milliseconds it lives.
type call struct {
	script *script
	keys   []string
	args   []string
}

func (s *Store) call(op string, c *idempotency.Claim, skew string) call {
	about := idempotency.AppendProvenance(nil, c.Origin, c.Holder)
	answer := ""
	if op == "confirm" || op == "extend" {
		answer = idempotency.ClipAnswer(c.Answer)
	}
	return call{
		script: s.rows,
		keys:   []string{s.key(c.ID)},
		args: []string{
			op, string(appendToken(nil, c.Token)), string(c.Digest[:]), micros(c.TTL), micros(c.Lease),
			strconv.Itoa(int(c.Override)), answer, string(about), skew, "",
		},
	}
}

// key is the name of a key's row.
func (s *Store) key(id idempotency.ID) string { return s.prefix + "k:" + id.External() }

// by makes the command: a script by its digest, or with the script itself.
func (c *call) by(client rueidis.Client, digest bool) rueidis.Completed {
	switch {
	case c.script == nil:
		return client.B().Arbitrary("SET").Keys(c.keys...).Args(c.args[0], "NX", "GET", "PX", c.args[1]).Build()
	case digest:
		return client.B().Evalsha().Sha1(c.script.digest).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
	default:
		return client.B().Eval().Script(c.script.text).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
	}
}

// commands puts the epoch's call behind a batch: what came before it on the same
// server was done in the memory, and by the time, that it tells.
func (s *Store) commands(calls []call) []call { return append(calls, s.epochCall("count")) }

// answered takes what the call of a batch returned, and the store's time, in
// microseconds, when all of the batch was done.
type answered func(i int, r rueidis.RedisResult, now int64) error

// byRow is answered for calls of the script of a row.
func byRow(each func(i int, said int64, row *idempotency.Row)) answered {
	return func(i int, r rueidis.RedisResult, _ int64) error {
		said, row, err := rowReply(r)
		if err == nil {
			each(i, said, row)
		}
		return err
	}
}

// batch runs calls in one round trip and hands out what each returned. An error
// of one is an error of all. Whatever was said is worth nothing when the epoch
// that came with it shows that the store lost its memory.
func (s *Store) batch(ctx context.Context, calls []call, each answered) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	before := s.highest()
	met, err := s.send(ctx, s.commands(calls), each)
	if err != nil {
		return err
	}
	return s.judge(met, before)
}

// send runs calls, the last of which is the epoch's. Those whose script the server
// does not know yet are sent again with the script.
func (s *Store) send(ctx context.Context, calls []call, each answered) (epoch, error) {
	results := s.run(ctx, calls, true)
	var again []int
	for i, r := range results {
		if failure, ok := rueidis.IsRedisErr(r.Error()); ok && failure.IsNoScript() {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		missed := make([]call, len(again))
		for i, at := range again {
			missed[i] = calls[at]
		}
		for i, r := range s.run(ctx, missed, false) {
			results[again[i]] = r
		}
	}
	last := len(results) - 1
	met, failed := epochReply(results[last])
	if failed == nil {
		s.clock.heard(met.now)
	}
	for i, r := range results[:last] {
		if err := each(i, r, met.now); err != nil {
			return epoch{}, err
		}
	}
	return met, failed
}

func (s *Store) run(ctx context.Context, calls []call, digest bool) []rueidis.RedisResult {
	commands := make(rueidis.Commands, len(calls))
	for i := range calls {
		commands[i] = calls[i].by(s.client, digest)
	}
	return s.client.DoMulti(ctx, commands...)
}

func rowReply(r rueidis.RedisResult) (int64, *idempotency.Row, error) {
	parts, err := r.ToArray()
	if failure, ok := rueidis.IsRedisErr(err); ok {
		if version, ok := strings.CutPrefix(failure.Error(), "ROWVERSION "); ok {
			n, _ := strconv.Atoi(version)
			return 0, nil, newerRow(n)
		}
	}
	if err != nil {
		return 0, nil, err
	}
	if len(parts) != 2 {
		return 0, nil, fmt.Errorf("redis answers with %d values, want 2", len(parts))
	}
	said, err := parts[0].AsInt64()
	if err != nil {
		return 0, nil, err
	}
	raw, err := parts[1].ToString()
	if rueidis.IsRedisNil(err) {
		return said, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	row, err := unpack(raw)
	return said, row, err
}

func epochReply(r rueidis.RedisResult) (epoch, error) {
	parts, err := r.ToArray()
	if err != nil {
		return epoch{}, err
	}
	if len(parts) != 4 {
		return epoch{}, fmt.Errorf("redis answers with %d values, want 4", len(parts))
	}
	id, err1 := parts[0].ToString()
	n, err2 := parts[1].AsInt64()
	accepted, err3 := parts[2].ToString()
	if rueidis.IsRedisNil(err3) {
		err3 = nil
	}
	now, err4 := parts[3].AsInt64()
	return epoch{id: id, count: n, accepted: accepted, now: now}, errors.Join(err1, err2, err3, err4)
}

package redis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/binary"
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

// call is one run of a script on one key.
type call struct {
	script *script
	key    string
	args   []string
}

func (s *Store) call(op string, c *idempotency.Claim, skew string) call {
	token := make([]byte, 0, 24)
	token = append(token, c.Token.Run[:]...)
	token = binary.BigEndian.AppendUint64(token, c.Token.Seq)
	about := idempotency.AppendProvenance(nil, c.Origin, c.Holder)
	answer := ""
	if op == "confirm" || op == "extend" {
		answer = idempotency.ClipAnswer(c.Answer)
	}
	return call{
		script: s.rows,
		key:    s.prefix + "k:" + c.ID.External(),
		args: []string{
			op, string(token), string(c.Digest[:]), micros(c.TTL), micros(c.Lease),
			strconv.Itoa(int(c.Override)), answer, string(about), skew, "",
		},
	}
}

// by makes the command: by the script's digest, or with the script itself.
func (c *call) by(client rueidis.Client, digest bool) rueidis.Completed {
	if digest {
		return client.B().Evalsha().Sha1(c.script.digest).Numkeys(1).Key(c.key).Arg(c.args...).Build()
	}
	return client.B().Eval().Script(c.script.text).Numkeys(1).Key(c.key).Arg(c.args...).Build()
}

// commands puts the epoch's call in front of a batch.
func (s *Store) commands(calls []call) []call {
	return append([]call{s.epochCall("count")}, calls...)
}

// batch runs calls in one round trip and hands out what each returned. An error
// of one is an error of all. Whatever was said is worth nothing when the epoch
// that came with it shows that the store lost its memory.
func (s *Store) batch(ctx context.Context, calls []call, each func(i int, said int64, row *idempotency.Row)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	before := s.highest()
	epoch, err := s.send(ctx, s.commands(calls), each)
	if err != nil {
		return err
	}
	return s.judge(epoch, before)
}

// send runs calls, the first of which is the epoch's. Those whose script the
// server does not know yet are sent again with the script.
func (s *Store) send(ctx context.Context, calls []call, each func(i int, said int64, row *idempotency.Row)) (epoch,
	error) {
	results := s.run(ctx, calls, true)
	s.clock.heard(results[0])
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
	for i, r := range results[1:] {
		said, row, err := rowReply(r)
		if err != nil {
			return epoch{}, err
		}
		if each != nil {
			each(i, said, row)
		}
	}
	return epochReply(results[0])
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
	return epoch{id: id, count: n, accepted: accepted}, errors.Join(err1, err2, err3)
}

package redis

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/millrace/millrace/pipeline/idempotency"
)

func TestParse(t *testing.T) {
	option, prefix, err := parse("redis://app:s%2Fcret@db:7000/3?prefix=shop:")
	if err != nil {
		t.Fatal(err)
	}
	if option.InitAddress[0] != "db:7000" || option.SelectDB != 3 || option.Username != "app" || option.Password != "s/cret" || prefix != "shop:" {
		t.Errorf("parsed as %v, database %d, prefix %q", option.InitAddress, option.SelectDB, prefix)
	}
	if option, prefix, err = parse("rediss://db"); err != nil || option.TLSConfig == nil || option.TLSConfig.ServerName != "db" || prefix != DefaultPrefix {
		t.Errorf("rediss is parsed as %+v, prefix %q, %v", option, prefix, err)
	}
}

func TestOpenKeepsSecretsToItself(t *testing.T) {
	for _, address := range []string{
		"redis://app:hush@127.0.0.1:1/0", "redis://app:hush@127.0.0.1:1/x", "http://app:hush@db", "redis://app:hush%@db", "redis://app:hush@db:port",
	} {
		_, err := Open(t.Context(), address, Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.HasPrefix(err.Error(), "open key store") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A row of a later release, or one that was damaged, is an error.
func TestUnpackRefuses(t *testing.T) {
	good := "\x01\x01" + strings.Repeat("\x00", answerAt-2+1) + string(idempotency.AppendProvenance(nil, idempotency.Origin{}, idempotency.Holder{}))
	if _, err := unpack(good); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"short": good[:answerAt], "cut": good[:len(good)-1], "long": good + "x", "newer": "\x02" + good[1:],
		"answer too long": good[:answerAt] + "\xff" + good[answerAt+1:],
	} {
		if row, err := unpack(raw); err == nil {
			t.Errorf("%s: read as %+v", name, row)
		}
	}
}

// Losses are judged by what was known when a batch was sent, whatever came back
// in between.
func TestJudge(t *testing.T) {
	type came struct {
		met, before epoch
		lost        bool
	}
	at := func(id string, n int64) epoch { return epoch{id: id, count: n} }
	cases := map[string][]came{
		"in order":     {{at("a", 5), at("a", 4), false}, {at("a", 6), at("a", 5), false}},
		"out of order": {{at("a", 9), at("a", 4), false}, {at("a", 5), at("a", 4), false}},
		"emptied":      {{at("b", 1), at("a", 4), true}, {at("a", 5), at("a", 4), true}},
		"went back":    {{at("a", 3), at("a", 4), true}},
		"stood still":  {{at("a", 4), at("a", 4), true}},
		"accepted":     {{epoch{id: "b", count: 1, accepted: "b"}, at("a", 4), false}, {at("b", 2), at("a", 4), false}, {at("b", 2), at("b", 2), true}},
		"other accept": {{epoch{id: "b", count: 1, accepted: "c"}, at("a", 4), true}},
	}
	for name, all := range cases {
		t.Run(name, func(t *testing.T) {
			s := &Store{opts: Options{Logger: slog.New(slog.DiscardHandler)}, known: "a", seen: 4}
			for i, c := range all {
				if err := s.judge(c.met, c.before); (err != nil) != c.lost {
					t.Errorf("%d: %+v after %+v is judged %v", i, c.met, c.before, err)
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "redis://127.0.0.1:1", Options{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error is %v", err)
	}
}

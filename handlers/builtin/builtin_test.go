package builtin_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
)

func TestRegistry(t *testing.T) {
	mine := handlers.Spec{Kind: "http", Doc: "mine"}
	r := builtin.Registry(mine, handlers.Spec{Kind: "other"})
	if diff := cmp.Diff([]string{"file", "http", "kafka", "other", "stdout"}, r.Kinds()); diff != "" {
		t.Error(diff)
	}
	if r["http"].Doc != "mine" {
		t.Error("a sink given beside the built-in ones takes the place of one of its kind")
	}
	if diff := cmp.Diff([]string{"file", "http", "kafka", "stdout"}, builtin.Registry().Kinds()); diff != "" {
		t.Error(diff)
	}
}

// Every built-in sink can tell whether its system is ready.
func TestSinksCanProbe(t *testing.T) {
	for kind, spec := range builtin.Registry() {
		sink, err := spec.Open(spec.New(), handlers.Env{Producer: nowhere{}, Stdout: io.Discard, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if _, ok := sink.(handlers.Prober); !ok {
			t.Errorf("%s has no Probe", kind)
		}
	}
}

type nowhere struct{ handlers.Producer }

package scenario_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/scenario"
)

// TestOncePerKey takes records with few keys through troubles whose fate is known,
// and a crash, on both kinds of stores: every record ends, and each key's effect
// happens once, or twice where the process died behind it and retries.
func TestOncePerKey(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		uncertain := rapid.SampledFrom([]string{"retry", "park"}).Draw(r, "on_uncertain")
		crash := rapid.SampledFrom([]string{"", "after_claim", "after_write", "after_confirm"}).Draw(r, "crash")
		keys := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 8).Draw(r, "keys")
		var config strings.Builder
		if rapid.Bool().Draw(r, "redis") {
			config.WriteString("kafka: {brokers: [localhost:9092]}\nidempotency: {store: redis://localhost:6379/0}\n")
		}
		fmt.Fprintf(&config, `
pipelines:
  p:
    source: {topic: a}
    idempotency: {key: 'k:${payload.id}', on_uncertain: %s}
    sinks: [{http: {url: http://localhost/}}, {kafka: {topic: b}}]
tests:
  - pipeline: p
    together: %v
`, uncertain, rapid.Bool().Draw(r, "together"))
		if crash != "" {
			fmt.Fprintf(&config, "    crash: {%s: %d}\n", crash, rapid.IntRange(1, 4).Draw(r, "times"))
		}
		known := func(name string, answers ...string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(answers), 0, 12).Draw(r, name), ", ")
		}
		fmt.Fprintf(&config, "    sinks: {http: [%s], kafka: [%s]}\n", known("http", "ok", "refused", "fail 503", "fail 404", "fail 422"), known("kafka", "ok", "refused", "fail"))
		config.WriteString("    records:\n")
		for i, key := range keys {
			fmt.Fprintf(&config, "      - {payload: {id: %d}, key: source-%d}\n", key, rapid.IntRange(0, 2).Draw(r, fmt.Sprint("source of ", i)))
		}
		config.WriteString("    expect: [" + strings.TrimSuffix(strings.Repeat("{}, ", len(keys)), ", ") + "]\n")
		checkOnce(r, config.String(), keys, crash == "after_write" && uncertain == "retry")
	})
}

func checkOnce(r *rapid.T, conf string, keys []int, twice bool) {
	report, err := scenario.Run(r.Context(), scenario.Options{
		Files: []string{"-"}, Registry: builtin.Registry(), Load: config.Options{Stdin: strings.NewReader(conf)},
	})
	if err != nil || report.Problems.HasErrors() {
		r.Fatalf("%v %v\n%s", err, report.Problems, conf)
	}
	effects, ended := map[string]int{}, map[int]bool{}
	died := false
	for _, told := range report.Results[0].Told {
		died = died || strings.Contains(told.Text, "the process dies")
		if told.Record == "" {
			continue
		}
		var offset int
		if _, err := fmt.Sscanf(told.Record, "a/0/%d", &offset); err != nil {
			r.Fatal(err)
		}
		switch word, _, _ := strings.Cut(told.Text, " "); {
		case strings.HasPrefix(told.Text, "call ") && strings.HasSuffix(told.Text, ": ok"):
			effects[fmt.Sprint(told.Sink, " of key ", keys[offset])]++
		case word == "delivered", word == "duplicate", word == "dead_lettered":
			ended[offset] = true
		}
	}
	repeats := 0
	for what, n := range effects {
		repeats += n - 1
		if n > 1 && !(twice && died) {
			r.Errorf("%s happened %d times\n%s", what, n, conf)
		}
	}
	// One crash leaves as many uncertain as were in flight: a batch of the kafka
	// sink, and one call of the http sink.
	if repeats > len(keys)+1 {
		r.Errorf("%d effects were repeated\n%s", repeats, conf)
	}
	if len(ended) != len(keys) {
		r.Errorf("%d of %d records ended\n%s", len(ended), len(keys), conf)
	}
}

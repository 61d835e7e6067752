package cmd

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/letters"
)

// What the page on dead letters shows is what list and show print of such letters.
func TestDeadLettersAsTheirPageShowsThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/dead-letters.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := blocks(string(page), "text")
	if len(shown) != 5 {
		t.Fatal("the page has lost its blocks")
	}
	var sent []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = append(sent, r.Header.Get("Idempotency-Key")) }))
	defer receiver.Close()
	dir := t.TempDir()
	const topic = "invoice-notifications.dead-letter"
	write(t, dir, "pipelines.yaml", "kafka: {embedded: {listen: 127.0.0.1:0}}\n"+
		"pipelines: {invoice-notifications: {source: {topic: order_invoices}, idempotency: {key: 'notification:invoices:${payload.order_id}'}, sinks: [{http: {url: '"+receiver.URL+"'}}]}}\n")
	p := start(t, dir, "broker", "--listen", "127.0.0.1:0")
	admin := bed{}.admin(t, p.broker())
	if _, err := admin.CreateTopics(t.Context(), []string{topic, topic + ".resolved"}, 3, 0, nil); err != nil {
		t.Fatal(err)
	}
	there, err := admin.Topics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(p.broker()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	put := func(topic string, partition int32, r *handlers.Record) {
		t.Helper()
		record := &kgo.Record{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	at := func(minute, second, ms int) time.Time {
		return time.Date(2026, 1, 31, 8, minute, second, ms*1e6, time.UTC)
	}
	refused := func(offset int64, at time.Time) letters.Letter {
		const said = "the receiver answered 422 Unprocessable Entity"
		return letters.Letter{
			Record: handlers.Record{
				Topic: "order_invoices", Partition: 3, Offset: offset, Time: time.Date(2026, 1, 31, 7, 59, 59, 900e6, time.UTC), Key: []byte("o-7"),
				Headers: []handlers.Header{{Key: "trace", Value: []byte("4bf92f35")}}, Value: []byte(`{"order_id":"o-7","status":"purchased","total":-5}`),
			},
			Pipeline: "invoice-notifications", Sink: "http", Generation: 1, Key: "notification:invoices:o-7", Stage: "write", Reason: "refused",
			FirstError: said, LastError: said, Attempts: 1, Round: 1, First: at, Last: at,
			ConfigDigest: "5a6c14a19964b2dca15c3323fcc2ab92b6274f216f82efff010e61c827ece769",
		}
	}
	for i := range int64(12) {
		put(topic, 0, letters.Encode(refused(i, at(0, 0, 0))))
		put(topic+".resolved", 0, letters.EncodeResolution(letters.Resolution{Letter: letters.Place{TopicID: there[0].ID, Offset: i}, How: letters.Discarded, Time: at(1, 0, 0)}))
	}
	put(topic, 0, letters.Encode(refused(120, at(0, 0, 123))))
	put(topic, 0, letters.Encode(refused(121, at(10, 0, 456))))
	put(topic, 2, letters.Encode(letters.Letter{
		Record:   handlers.Record{Topic: "order_invoices", Partition: 1, Offset: 90, Value: []byte("{")},
		Pipeline: "invoice-notifications", Stage: "decode", Reason: "decode_failed", Round: 1, Last: at(5, 0, 789),
		LastError: "the value is not valid JSON: it goes wrong at byte 1",
	}))
	var commands []string
	for _, block := range blocks(string(page), "sh") {
		if !strings.Contains(block, "| jq") {
			commands = append(commands, block)
		}
	}
	if len(commands) != len(shown) {
		t.Fatalf("%d commands, and what %d print", len(commands), len(shown))
	}
	for i, block := range commands {
		code, out, errs := millrace(t, dir, strings.Fields(block)[1:]...)
		if diff := cmp.Diff(anyJob(shown[i]), anyJob(out)); code != 0 || diff != "" {
			t.Errorf("%s: code %d (-page +command):\n%s%s", block, code, diff, errs)
		}
	}
	old := idempotency.Identity("invoice-notifications", "http", 1, "notification:invoices:o-7").External()
	if fmt.Sprint(sent) != fmt.Sprint([]string{old}) {
		t.Errorf("sent with the Idempotency-Keys %v", sent)
	}
	archive, err := os.ReadFile(filepath.Join(dir, "broken.jsonl"))
	if err != nil || strings.Count(string(archive), "\n") != 1 || !strings.Contains(string(archive), `"round":2,`) {
		t.Errorf("%v, archived: %s", err, archive)
	}
}

var jobAndTime = regexp.MustCompile(`job-[a-z2-7]{8} finished after [0-9.]+m?s`)

// anyJob is text that does not say which job it was, nor how long that took.
func anyJob(text string) string {
	return jobAndTime.ReplaceAllString(text, "job-… finished after …")
}

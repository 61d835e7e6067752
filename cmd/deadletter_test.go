package cmd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/letters"
)

const deadLetterFile = `version: 1
%spipelines:
  %s:
    source: {topic: %s}
    idempotency: {key: 'order:${payload.id}'}
    sinks:
      - {name: bill, http: {url: '%s/bill/${payload.id}', headers: {Authorization: 'Bearer ${file("token")}'}}}
      - {name: post, http: {url: '%s/post/${payload.id}'}, when: payload.id %% 2 == 0}
`

// 300 letters of two sinks and two reasons, as a run made them: counted, listed and
// shown while it runs and when nothing does; what was resolved is open no more.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	testDeadLetters(t, bed{})
}

func testDeadLetters(t *testing.T, b bed) {
	dir := t.TempDir()
	// Of 200 orders bill refuses 100, and post 50 of the 100 that it is sent.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		bill := strings.HasPrefix(r.URL.Path, "/bill/")
		fmt.Sscan(r.URL.Path[len("/bill/"):], &n)
		if bill && n < 100 || !bill && n < 100 {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	}))
	defer server.Close()
	name, topic := b.name("invoices"), b.name("orders")
	write(t, dir, "token", "s3cret-token\n")
	write(t, dir, "pipelines.yaml", fmt.Sprintf(deadLetterFile, b.blocks(), name, topic, server.URL, server.URL))
	b.create(t, 6, "orders", "invoices.dead-letter")
	p := start(t, dir, "run")
	var records []*handlers.Record
	for i := range 200 {
		r := &handlers.Record{Topic: topic, Partition: -1, Offset: -1, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, `{"id": %d}`, i)}
		records = append(records, r)
	}
	for i := range 150 {
		records = append(records, &handlers.Record{Topic: topic, Partition: -1, Offset: -1, Key: fmt.Append(nil, "bad-", i), Value: []byte("\xff")})
	}
	b.send(t, p.broker(), records)
	p.await("all is done", func() bool {
		o := p.status().Pipelines[0].Outcomes
		return o["delivered"]+o["dead_lettered"] == 350
	})

	letter := func(code int, args ...string) (out, errs string) {
		t.Helper()
		got, out, errs := millrace(t, dir, append([]string{"dead-letter"}, args...)...)
		if got != code || strings.Contains(out+errs, "s3cret") {
			t.Fatalf("%v: code %d, want %d:\n%s%s", args, got, code, out, errs)
		}
		return out, errs
	}
	expect := func(text string, parts ...string) {
		t.Helper()
		plain := strings.Join(strings.Fields(text), " ")
		for _, part := range parts {
			if !strings.Contains(plain, part) {
				t.Errorf("lacks %q:\n%s", part, text)
			}
		}
	}
	counted := func() {
		t.Helper()
		out, _ := letter(0, "list", name)
		expect(out, "300 open dead letters of "+name, "COUNT SINK STAGE REASON OLDEST NEWEST 150 - decode decode_failed 20", "100 bill write refused 20",
			"50 post write refused 20", "the newest 20 of 300; -n -1 lists all")
		if rows := strings.Count(out, " "+topic+"/"); rows != 20 {
			t.Errorf("%d letters are listed:\n%s", rows, out)
		}
		out, errs := letter(0, "list", name, "-n", "-1", "--sink", "bill", "--format", "json")
		expect(errs, "300 open dead letters of "+name+"; 100 match")
		seen := map[string]bool{}
		for line := range strings.Lines(out) {
			var l struct{ ID, Sink, Reason string }
			decode(t, []byte(line), &l)
			if l.Sink != "bill" || l.Reason != "refused" || seen[l.ID] {
				t.Fatalf("%s", line)
			}
			seen[l.ID] = true
		}
		if len(seen) != 100 {
			t.Errorf("%d lines of JSON", len(seen))
		}
	}
	counted()
	out, _ := letter(0, "list", name, "--where", "payload.id == 8", "--reason", "refused")
	expect(out, "2 match", "1 bill write refused", "1 post write refused", "the receiver answered 422 Unprocessable Entity")
	out, _ = letter(0, "list", name, "--reason", "refusd")
	expect(out, "none of them matches", "COUNT SINK STAGE REASON 150 - decode decode_failed 100 bill write refused")
	out, _ = letter(0, "list", name, "--until", "-1h")
	expect(out, "none of them matches")
	out, _ = letter(0, "list", name, "-n", "1", "--since", "-1h", "--sink", "-", "--stage", "decode", "--round", "1", "--format", "json")
	var one struct {
		ID     string
		Sink   *string
		Record map[string]any
	}
	decode(t, []byte(out), &one)
	if one.Sink != nil || one.Record["value_base64"] != "/w==" {
		t.Errorf("%s", out)
	}
	out, _ = letter(0, "show", name, one.ID, name+".dead-letter/"+one.ID)
	expect(out, "record "+topic+"/", "sink - failed decode, decode_failed, in round 1 after 0 attempts first time 20", "last error", "value base64 /w==", "resolved no")
	if strings.Count(out, "a dead letter of") != 2 {
		t.Error(out)
	}

	topicID := func() [16]byte {
		there, err := b.admin(t, p.broker()).Topics(t.Context(), name+".dead-letter")
		if err != nil || len(there) != 1 {
			t.Fatal(there, err)
		}
		return there[0].ID
	}
	out, _ = letter(0, "list", name, "-n", "-1", "--sink", "bill", "--format", "json")
	first := resolveLetters(t, b, p, name, topicID(), out)
	out, _ = letter(0, "list", name, "-n", "0100")
	expect(out, "260 open dead letters of "+name+", 40 resolved", "60 bill write refused", "50 post write refused")
	out, _ = letter(0, "show", name, first)
	expect(out, "resolved delivered 2026-01-02T03:04:05.000Z by ann@box, job j-1", "failed write, refused, in round 1 after 1 attempt ", "idempotency key order:", "last error the receiver answered 422")

	if code := p.stop(); code != 0 {
		t.Fatal("code", code)
	}
	out, _ = letter(0, "list", name)
	expect(out, "260 open dead letters", "60 bill write refused")
	out, _ = letter(0, "show", name, first, "--format", "json")
	expect(out, `"resolution":{"how":"delivered","time":"2026-01-02T03:04:05.000Z","by":"ann@box","job":"j-1"}`)
}

// resolveLetters resolves 40 of the letters that were listed as JSON, in each of the four
// ways, and notes what changes nothing: letters of another topic, one that is taken
// back, records of another kind. It returns one that was delivered.
func resolveLetters(t *testing.T, b bed, p *process, name string, id [16]byte, lines string) string {
	t.Helper()
	resolved := name + ".dead-letter.resolved"
	if _, err := b.admin(t, p.broker()).CreateTopics(t.Context(), []string{resolved}, 1, 0, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	hows := []letters.Result{letters.Delivered, letters.Duplicate, letters.Replaced, letters.Discarded}
	var records []*handlers.Record
	add := func(r *handlers.Record) {
		r.Topic, r.Partition, r.Offset = resolved, -1, -1
		records = append(records, r)
	}
	first := ""
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var l struct{ ID string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		r := letters.Resolution{Letter: letters.Place{TopicID: id}, How: hows[i%4], Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), By: "ann@box", Job: "j-1"}
		fmt.Sscanf(l.ID, "%d/%d", &r.Letter.Partition, &r.Letter.Offset)
		switch {
		case i == 0:
			first = l.ID
			fallthrough
		case i < 40:
			add(letters.EncodeResolution(r))
		case i == 40:
			add(letters.EncodeResolution(r))
			back := letters.EncodeResolution(r)
			back.Value = nil
			add(back)
		default:
			r.Letter.TopicID[3] ^= 1
			add(letters.EncodeResolution(r))
		}
	}
	add(&handlers.Record{Key: []byte("k"), Value: []byte("v")})
	b.send(t, p.broker(), records)
	return first
}

// What is asked wrong is answered with what is wrong.
func TestDeadLettersOfWrongUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "pipelines.yaml", `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}}
pipelines:
  orders: {source: {topic: in}, dead_letter: {topic: shared}, sinks: [{stdout: {}}]}
  others: {source: {topic: in2}, dead_letter: {topic: shared}, sinks: [{stdout: {}}]}
  blocks: {source: {topic: in}, dead_letter: off, sinks: [{stdout: {}}]}
  broken: {source: {topic: in}, filter: payload.n >, sinks: [{http: {url: '${env.NOT_SET}'}}]}
`)
	expect := func(code int, want string, args ...string) {
		t.Helper()
		got, out, errs := millrace(t, dir, append([]string{"dead-letter"}, args...)...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Errorf("%v: code %d, want %d with %q:\n%s%s", args, got, code, want, out, errs)
		}
	}
	expect(2, "dead-letter takes list, show, redrive or discard")
	expect(2, `there is no command "lst" (did you mean "list"?)`, "lst")
	expect(2, "it takes one pipeline, and was given 0 arguments", "list")
	expect(2, "`millrace dead-letter list orders` shows the ids", "show", "orders")
	expect(2, `there is no pipeline "order" (did you mean "orders"?)`, "list", "order")
	expect(2, `pipeline "blocks" has no dead letters: its dead_letter is off`, "list", "blocks")
	expect(2, `partition/offset, such as 0/42, not "12"`, "show", "orders", "12")
	expect(2, "--since must lie before --until", "list", "orders", "--since", "-1h", "--until", "-2h")
	expect(2, "--since: ", "list", "orders", "--since", "yesterday")
	expect(2, "--round counts from 1", "list", "orders", "--round", "0")
	expect(2, "-n takes a number of records", "list", "orders", "-n", "0")
	expect(2, "--where: at character", "list", "orders", "--where", "payload.n >")
	expect(2, "--format takes text or json", "list", "orders", "--format", "xml")
	expect(1, "no broker runs, or ever ran", "list", "orders")
	if _, err := os.Stat(dir + "/.millrace"); err == nil {
		t.Error("looking made the state folder")
	}
	if code, _, errs := millrace(t, dir, "publish", "in2", "--create", "x"); code != 0 {
		t.Fatal(errs)
	}
	expect(1, `topic "shared" does not exist yet: `+"`millrace run` makes it", "list", "orders")
	expect(1, `topic "broken.dead-letter" does not exist yet`, "show", "broken", "0/0")

	good := letters.Encode(letters.Letter{Record: handlers.Record{Topic: "in2", Offset: 5, Value: []byte("x")}, Pipeline: "others", Stage: "write",
		Reason: "refused", LastError: "no", Missing: letters.Missing{Key: &letters.Part{Digest: "abc", Bytes: 7}}})
	later := &handlers.Record{Value: []byte("x"), Headers: []handlers.Header{{Key: "millrace-topic", Value: []byte("in")}, {Key: "millrace-letter-version", Value: []byte("99")}}}
	p := start(t, dir, "broker", "--listen", "127.0.0.1:0")
	if _, err := (bed{}).admin(t, p.broker()).CreateTopics(t.Context(), []string{"shared"}, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	expect(0, "shared: 0 open dead letters of orders\n", "list", "orders")
	expect(1, "shared/0 holds no records", "show", "orders", "0/0")
	for _, r := range []*handlers.Record{good, later, {Value: []byte("x")}} {
		r.Topic, r.Partition, r.Offset = "shared", -1, -1
		bed{}.send(t, p.broker(), []*handlers.Record{r})
	}
	expect(0, "shared: 0 open dead letters of orders\n! 1 letter here of pipeline others\n! 1 letter of a later version can't be read: header millrace-letter-version: the dead letter has version 99 of their format, and this Millrace reads up to 2\n"+
		"! 1 record here can't be read as a letter, the first: the record is no dead letter\n", "list", "orders")
	expect(0, "1      -     write  refused", "list", "others")
	expect(0, "key             not in the letter: 7 bytes, SHA-256 abc; gone: the log of in2/0 holds offsets", "show", "others", "0/0")
	expect(1, `shared/0/0 is a dead letter of pipeline "others"`, "show", "orders", "0/0")
	expect(1, "version 99", "show", "orders", "0/1")
	expect(1, "shared/0/2: the record is no dead letter", "show", "orders", "0/2")
	expect(1, "shared/0/9 is not written yet: the log holds offsets 0 to 2", "show", "orders", "0/9")
	expect(1, `topic "shared" has no partition 3`, "show", "orders", "3/0")
	expect(0, "shared/0/0, a dead letter of others", "show", "others", "0/0", "shared/0/0")
	expect(1, "no process 1 runs on", "list", "orders", "--pid", "1")
}

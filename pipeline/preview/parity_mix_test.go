package preview_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
)

// mixedPipelines use filters, keys, digests, transforms, routes, conditions and
// templates, and every way to treat what fails. Two records of one idempotency
// key have the same Kafka key, so that a run meets them in their order.
const mixedPipelines = `
version: 1
pipelines:
  guarded:
    source: {topic: events}
    filter: payload.status in ["paid", "open"] && payload.total > 0
    idempotency: {key: 'order:${payload.id}', ttl: 8d, digest: payload.total}
    transform:
      key: payload.customer.id
      headers: {trace: headers.trace, by: '"millrace"', gone: nil}
      payload:
        id: payload.id
        cents: int(round(payload.total * 100))
        big: payload.big
        list: [payload.tags, '{"name": payload.customer.name ?? "nobody"}']
    sinks:
      - name: mail
        when: source.payload.channel == "mail"
        http: {url: 'http://localhost:1/mail/${payload.id}', headers: {X-Trace: '${headers.trace ?? "none"}'}}
      - name: archive
        file: {dir: out, path: '${source.payload.region}/a.jsonl'}
  routed:
    source: {topic: events}
    routes:
      - when: payload.severity == "critical"
        sinks:
          - http: {url: 'http://localhost:1/page?who=${payload.customer.name}'}
          - kafka: {topic: pages, key: '${payload.id}'}
      - when: payload.severity in ["error", "warn"]
        sinks: [{kafka: {topic: 'logs_${payload.severity}_${payload.region}'}}]
      - when: payload.flag
        sinks: [{stdout: {template: '${payload.id} of ${payload.customer}'}}]
    unmatched: dead_letter
    on_error: drop
  conflicts:
    source: {topic: events}
    idempotency: {key: 'c:${key}', ttl: 8d, on_conflict: dead_letter}
    sinks: [{http: {url: 'http://localhost:1/c', tombstone: delete}}]
  processes:
    source: {topic: events}
    filter: '!payload.deleted'
    idempotency: {key: 'p:${payload.id}:${payload.region}', ttl: 8d, on_conflict: process}
    sinks: [{stdout: {format: record}}]
    on_error: drop
  texts:
    source: {topic: events, format: text}
    filter: payload contains "ä"
    idempotency: {key: '${key}-${len(payload)}', ttl: 8d}
    sinks: [{stdout: {}}]
  raw:
    source: {topic: events, format: bytes, max_record_bytes: 400B}
    sinks:
      - file: {dir: out, path: all.bin, format: raw}
      - http: {url: 'http://localhost:1/raw', tombstone: skip}
  tombstones:
    source: {topic: events}
    filter: value == nil || payload.status == "open"
    sinks: [{http: {url: 'http://localhost:1/t', tombstone: skip}}]
  picky:
    source: {pattern: '^event.$'}
    sinks:
      - {name: a, when: payload.total > 500, http: {url: 'http://localhost:1/${payload.customer.name}'}}
      - {name: b, when: payload.flag, file: {dir: out, path: '${payload.region}.jsonl'}}
      - {name: c, when: payload.id != 3, kafka: {topic: 'copy_${payload.status}'}}
    on_error: drop
  critical:
    source: {topic: events}
    routes: [{when: payload.severity == "critical", sinks: [{stdout: {}}]}]
`

// mixedRecords are n records, the same for the same seed.
func mixedRecords(seed uint64, n int) []*handlers.Record {
	m := mix{rand.New(rand.NewPCG(seed, seed))}
	records := make([]*handlers.Record, n)
	for i := range records {
		records[i] = m.record(i)
	}
	return records
}

type mix struct{ *rand.Rand }

func (m mix) oneOf(texts ...string) string { return texts[m.IntN(len(texts))] }

func (m mix) record(i int) *handlers.Record {
	id := m.IntN(3000)
	r := &handlers.Record{
		Topic: "events", Partition: -1, Offset: -1, Time: time.UnixMilli(1_700_000_000_000 + int64(m.IntN(1_000_000))).UTC(),
		Key: fmt.Appendf(nil, "k-%d", id), Value: []byte(m.value(id)),
	}
	switch m.IntN(20) {
	case 0, 1:
		r.Value = nil
	case 2:
		r.Value = r.Value[:m.IntN(len(r.Value))]
	case 3:
		r.Value = []byte(m.oneOf(" ", "null", "[]", `"ä"`, "\xff", `{"id": 1, "id": 3}`, strings.Repeat("[", 2000), "{} {}", "-", "\ufeff{}"))
		r.Key = fmt.Appendf(nil, "odd-%d", i)
	case 4:
		// Without a key it may go to any partition: its id is nobody else's.
		r.Key, r.Value = nil, []byte(m.value(1_000_000+i))
	case 5:
		r.Headers = append(r.Headers, handlers.Header{Key: "trace", Value: []byte("line\nbreak")})
	case 6:
		r.Headers = append(r.Headers, handlers.Header{Key: "gone", Value: []byte("x")}, handlers.Header{Key: "trace", Value: []byte(m.oneOf("t", "ü", ""))}, handlers.Header{Key: "nil"})
	}
	return r
}

// value is mostly the same for the same id, so that repeats are duplicates, and
// now and then not, so that they are conflicts.
func (m mix) value(id int) string {
	of := mix{rand.New(rand.NewPCG(uint64(id), 7))}
	if m.IntN(5) == 0 {
		of = m
	}
	var fields []string
	add := func(name string, values ...string) {
		if of.IntN(12) > 0 {
			fields = append(fields, fmt.Sprintf("%q: %s", name, of.oneOf(values...)))
		}
	}
	idText := fmt.Sprint(id)
	add("id", idText, idText, idText, `"`+idText+`"`)
	add("status", `"paid"`, `"paid"`, `"open"`, `"void"`, "null", "1")
	add("total", "5", "19.99", "1000", "0", "-3", `"5"`, "92233720368547758070", "1e3", "0.1")
	add("big", "123456789012345678901234567890", "1.10", "null")
	add("severity", `"critical"`, `"error"`, `"warn"`, `"info"`)
	add("region", `"eu"`, `"us"`, `"a/b"`, `".."`, `"ü"`, "7", "null", `""`)
	add("channel", `"mail"`, `"mail"`, `"push"`)
	add("flag", "true", "false", "null", `"yes"`)
	add("deleted", "true", "false", "false", "null")
	add("tags", `["a", "ä"]`, "[]", `"x"`)
	add("customer", `{"id": "c-1", "name": "Ann & Bö"}`, `{"id": 5}`, `{"name": null}`, `"c-2"`, "[]")
	return "{" + strings.Join(fields, ", ") + "}"
}

//go:build real && linux

package cmd

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// soakSchema has what is costly to check, and what good records are.
var soakSchema = strings.Replace(hostile.RecursiveSchema, `"properties": {`, `"required": ["id", "region"],
	"properties": {
		"id": {"type": "string"}, "region": {"type": "string"}, "tag": {"type": "string"}, "text": {"type": "string"},
		"total": {"type": "number", "minimum": 0, "multipleOf": 0.01},
		"tags": {"type": "array", "items": {"type": "string"}},
		"items": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "number"}}}},
		`, 1)

// attack is what some clients do again and again, each at its pace: what is looked for
// is what one of them costs the others, not how many of them a machine can take. Those
// that fill the topics wait while the pipelines are that far behind, on a machine that
// is too slow for their pace.
type attack struct {
	name    string
	clients int
	every   time.Duration
	do      func(ctx context.Context, client, n int) (what string)
}

// attack runs all attacks until ctx ends, or those whose names SOAK_ATTACKS matches.
func (s *soak) attack(ctx context.Context, attackers *sync.WaitGroup) {
	chosen, err := regexp.Compile(os.Getenv("SOAK_ATTACKS"))
	if err != nil {
		s.t.Fatal(err)
	}
	attackers.Go(func() { s.watch(ctx) })
	for _, a := range slices.Concat(s.bodies(), s.connections(), s.records()) {
		if !chosen.MatchString(a.name) {
			continue
		}
		for client := range a.clients {
			attackers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					what := a.do(ctx, client, n)
					s.mu.Lock()
					stopping := s.stopping
					s.mu.Unlock()
					if stopping {
						return
					}
					s.count(a.name, what)
					rest(ctx, a.every)
				}
			})
		}
	}
}

// mostBehind is how many records the three pipelines may have left to do before those
// who fill their topic wait.
const mostBehind = 100

// watch looks how far the pipelines are behind, until ctx ends.
func (s *soak) watch(ctx context.Context) {
	for ; ctx.Err() == nil; rest(ctx, 200*time.Millisecond) {
		status, err := s.p.ask(ctx)
		if err != nil {
			continue // it is busy, or stops
		}
		behind := int64(0)
		for _, p := range status.Pipelines {
			behind += max(0, int64(p.Lag))
		}
		s.behind.Store(behind)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// bodies are sent to ingest.
func (s *soak) bodies() []attack {
	sends := func(path, body string, change func(*http.Request)) func(context.Context, int, int) string {
		return func(context.Context, int, int) string { return s.postBody(path, []byte(body), change) }
	}
	gzipped := func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
	lines := func(r *http.Request) { gzipped(r); r.Header.Set("Content-Type", "application/x-ndjson") }
	zeros := zipped(make([]byte, 256<<20))
	return []attack{
		{"bodies that violate a schema 520,000 times", 1, time.Second, sends("/shop", `{"tags":[`+strings.Repeat("1,", 520_000)+`1]}`, nil)},
		{"deep bodies against oneOf", 1, 100 * time.Millisecond, sends("/shop", hostile.NestedRule(300, `{"op":"zz"}`), nil)},
		{"numbers of a million digits", 1, 2 * time.Second, sends("/shop", `{"total":0.`+strings.Repeat("9", 1_000_000)+`}`, nil)},
		{"gzip of 256 MiB, one value", 1, 2 * time.Second, sends("/shop", zeros, gzipped)},
		{"gzip of 256 MiB, lines", 1, 2 * time.Second, sends("/many", zeros, lines)},
		{"gzip of 500,000 records", 1, 2 * time.Second, sends("/many", zipped(bytes.Repeat([]byte("{}\n"), 500_000)), lines)},
	}
}

func zipped(raw []byte) string {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(raw)
	_ = zip.Close()
	return out.String()
}

// postBody sends a body to ingest and returns the status.
func (s *soak) postBody(path string, body []byte, change func(*http.Request)) string {
	ctx, cancel := context.WithTimeout(s.t.Context(), soakSlowest)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.ingest+path, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "cut off"
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return fmt.Sprint(resp.StatusCode)
}

// connections are held, or full of what is no request.
func (s *soak) connections() []attack {
	all := []attack{
		{"slow bodies", 320, 0, func(ctx context.Context, _, _ int) string {
			return hold(ctx, s.ingest, "POST /shop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{", " ")
		}},
		{"idle connections on health", 100, 0, func(ctx context.Context, _, _ int) string { return hold(ctx, s.health, "", "") }},
		{"slow heads on health", 30, 0, func(ctx context.Context, _, _ int) string {
			return hold(ctx, s.health, "GET /readyz HTTP/1.1\r\nHost: ", "x")
		}},
		{"(who asks health)", 1, time.Second, func(ctx context.Context, _, _ int) string { return s.ready(ctx) }},
		{"garbage for the broker", 1, 100 * time.Millisecond, func(context.Context, int, int) string {
			raw := make([]byte, 64<<10)
			for i := range raw {
				raw[i] = byte(rand.Uint32())
			}
			return sent(hostile.Send(s.broker, raw))
		}},
		{"random requests", 2, 20 * time.Millisecond, s.strange()},
	}
	for name, packets := range hostile.Killers() {
		all = append(all, attack{name, 1, time.Second, func(context.Context, int, int) string { return sent(hostile.Send(s.broker, packets...)) }})
	}
	for name, harm := range hostile.Attacks() {
		all = append(all, attack{name, 1, time.Second, func(_ context.Context, _, n int) string {
			conn, err := net.Dial("tcp", s.broker)
			if err != nil {
				return "refused"
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			harm(conn, n)
			return "sent"
		}})
	}
	return all
}

func sent(err error) string {
	if err != nil {
		return "refused"
	}
	return "sent"
}

// hold sends a beginning, and then a bit now and then, until it is cut off.
func hold(ctx context.Context, address, begin, bit string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		rest(ctx, time.Second)
		return "refused"
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	go func() {
		for _, err := io.WriteString(conn, begin); err == nil; _, err = io.WriteString(conn, bit) {
			rest(ctx, 500*time.Millisecond)
		}
	}()
	// A server that cuts a connection off may have answered before.
	answer, _ := io.ReadAll(conn)
	rest(ctx, 500*time.Millisecond)
	if _, status, ok := strings.Cut(string(answer), " "); ok {
		return status[:min(3, len(status))]
	}
	return "cut off"
}

// ready asks for readiness over a connection of its own.
func (s *soak) ready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, soakSlowest)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.health+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "cut off"
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d (%s)", resp.StatusCode, strings.TrimSpace(string(text)))
}

// strange sends random requests.
func (s *soak) strange() func(context.Context, int, int) string {
	answer, err := kmsg.NewPtrApiVersionsRequest().RequestWith(s.t.Context(), s.raw)
	if err != nil {
		s.t.Fatal(err)
	}
	served := map[kmsg.Key]int16{}
	for _, k := range answer.ApiKeys {
		served[kmsg.Key(k.ApiKey)] = k.MaxVersion
	}
	var strangers [2]*hostile.Stranger
	for i := range strangers {
		strangers[i] = hostile.NewStranger(s.broker, served, uint64(i))
		s.t.Cleanup(strangers[i].Close)
	}
	return func(_ context.Context, client, _ int) string { return sent(strangers[client].Step()) }
}

// records are written to the shop's topic, as they are.
func (s *soak) records() []attack {
	batch := func(id, value string, headers ...string) func(int) []byte {
		b := hostile.BatchOf(1, 4)
		b.Records = hostile.KeyedRecord(0, id, value, headers...)
		raw := b.Encode()
		return func(int) []byte { return raw }
	}
	malformed := slices.Collect(maps.Values(hostile.Malformed()))
	headers := make([]string, 100_000)
	for i := range headers {
		headers[i] = fmt.Sprint("h", i)
	}
	list := strings.TrimSuffix(strings.Repeat("0,", 260_000), ",")
	hostileRecord := func(fields string) string {
		return `{"id":"h-costly","region":"h","tag":"a","tags":[],"text":"a","items":[],` + fields + `}`
	}
	var all []attack
	for _, a := range []struct {
		name  string
		every time.Duration
		raw   func(n int) []byte
	}{
		{"malformed batches", 100 * time.Millisecond, func(n int) []byte { return malformed[n%len(malformed)].Raw }},
		{"records of 62 MB of zeros", 4 * time.Second, batch("h-zeros", string(make([]byte, 62_000_000)))},
		{"records of 14 MiB of empty names", 8 * time.Second, batch("h-items", hostileRecord(`"items":[`+strings.Repeat(`{"":0},`, 2<<20)+`{}]`))},
		{"records of 100,000 headers", 4 * time.Second, batch("h-headers", "{}", headers...)},
		{"lists looked for in lists, 1 MiB", 8 * time.Second, batch("h-lists", hostileRecord(`"tag":[`+list+`],"tags":[`+list+`]`))},
		{"long texts matched for each of many items, 1 MiB", 8 * time.Second, batch("h-texts", hostileRecord(`"text":"`+strings.Repeat("a", 1<<20)+`","items":[`+strings.Repeat("0,", 9_000)+`0]`))},
		{"records that name new topics and files", 200 * time.Millisecond, func(n int) []byte {
			id := fmt.Sprint("h-", n)
			return batch(id, string(goodRecord(id, id)))(n)
		}},
	} {
		all = append(all, attack{a.name, 1, a.every, func(ctx context.Context, _, n int) string { return s.write(ctx, n, a.raw(n)) }})
	}
	return all
}

// write sends a batch to one of the shop's partitions.
func (s *soak) write(ctx context.Context, n int, raw []byte) string {
	for s.behind.Load() > mostBehind && ctx.Err() == nil {
		rest(ctx, 100*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(ctx, soakSlowest)
	defer cancel()
	r := hostile.ProduceRequest("shop", raw)
	r.Topics[0].Partitions[0].Partition = int32(n % 6)
	answer, err := r.RequestWith(ctx, s.raw.SeedBrokers()[0])
	if err != nil {
		return "cut off"
	}
	if err := kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode); err != nil {
		return err.(*kerr.Error).Message
	}
	return "written"
}

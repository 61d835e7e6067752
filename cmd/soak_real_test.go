//go:build real && linux

package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/kafka"
)

const (
	// soakMemory is the hard limit of the process; GOMEMLIMIT is half of it.
	soakMemory = 1 << 30
	// soakRate is how many good records are sent in a second.
	soakRate = 20
	// soakSlowest is far more than a good record should ever need.
	soakSlowest = 30 * time.Second
)

// soakFile has what an attack can reach: an embedded broker, ingest with a schema,
// health, expressions that can cost much, and names that records choose.
const soakFile = `version: 1
kafka: {embedded: {listen: 127.0.0.1:0}, compression: zstd}
topics:
  shop: {schema: shop.json}
  orders: {partitions: 1}
  big: {partitions: 1}
ingest:
  listen: 127.0.0.1:%[1]d
  routes:
    - {path: /shop, topic: shop, key: payload.id}
    - {path: /many, topic: shop, key: payload.id, many: true}
server: {health: "127.0.0.1:%[2]d"}
pipelines:
  calls:
    source: {topic: shop}
    filter: not (payload.tag in payload.tags)
    idempotency: {key: "call:${payload.id}"}
    sinks: [{http: {url: "%[3]s/${payload.id}"}}]
  copies:
    source: {topic: shop}
    filter: not any(payload.items, payload.text matches "^(a+)+b$")
    idempotency: {key: "copy:${payload.id}"}
    sinks: [{kafka: {topic: "copy_${payload.region}"}}]
  files:
    source: {topic: shop}
    filter: not any(payload.items, .a > 1)
    idempotency: {key: "file:${payload.id}"}
    sinks: [{file: {dir: out, path: "${payload.region}.jsonl", max_new_files: 100}}]
`

// goodRecord is a record of the shop, as honest clients send them.
func goodRecord(id, region string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"region":%q,"total":19.99,"tag":"a","tags":["b","c"],"text":"aac","items":[{"a":0}],"rule":{"op":"eq","args":[1]}}`, id, region)
}

// soak is a process under attack, and what becomes of the good records meanwhile.
type soak struct {
	t         *testing.T
	p         *process
	receiver  *account
	ingest    string // the address
	health    string
	broker    string
	raw       *kgo.Client
	publisher *kafka.Publisher

	behind atomic.Int64 // records that the pipelines have to do

	mu       sync.Mutex
	stopping bool
	counts   map[string]map[string]int // by attack, by what came of it
	sent     map[string]time.Time      // good records, by id
	acked    map[string]time.Time
}

// All that is hostile at once, beside good records: the process lives in its memory,
// each good record that was acknowledged has its effects once and soon, and SIGTERM
// ends it in time. SOAK_TIME is how long, 30 s without it.
func TestRealSoak(t *testing.T) {
	long, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK_TIME"), "30s"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(t)
	// Its topic and its file are there before others can use up the new ones.
	s.send("g-first", s.post)
	s.await()
	attacking, over := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	defer func() { over(); attackers.Wait() }()
	s.attack(attacking, &attackers)
	s.sendGood(long)
	s.await()

	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	began := time.Now()
	if code := s.p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	drained := time.Since(began)
	over()
	attackers.Wait()
	if drained > 30*time.Second {
		t.Errorf("it took %s to stop", drained)
	}
	s.checkEffects()
	s.checkDeadLetters()
	s.report(drained)
}

func newSoak(t *testing.T) *soak {
	t.Setenv("GOMEMLIMIT", "512MiB")
	box := newMemoryBox(t, soakMemory)
	s := &soak{t: t, receiver: newAccount(t), counts: map[string]map[string]int{}, sent: map[string]time.Time{}, acked: map[string]time.Time{}}
	dir, ingest, health := t.TempDir(), freePort(t), freePort(t)
	write(t, dir, "shop.json", soakSchema)
	write(t, dir, "pipelines.yaml", fmt.Sprintf(soakFile, ingest, health, s.receiver.URL))
	s.p = start(t, dir, "run")
	box.hold(s.p)
	s.ingest, s.health, s.broker = fmt.Sprint("127.0.0.1:", ingest), fmt.Sprint("127.0.0.1:", health), s.p.broker()
	var err error
	if s.raw, err = kgo.NewClient(kgo.SeedBrokers(s.broker)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.raw.Close)
	if s.publisher, err = kafka.NewPublisher(kafka.Settings{Brokers: []string{s.broker}}, kafka.Deps{Logger: discard()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.publisher.Close() })
	fill := make([]*handlers.Record, 40)
	for i := range fill {
		fill[i] = &handlers.Record{Topic: "big", Partition: -1, Offset: -1, Value: make([]byte, 900<<10)}
	}
	if err := s.publisher.Produce(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	return s
}

// sendGood sends good records for so long, half of them over HTTP and half through the
// broker, each by itself, so that one that waits holds up no other.
func (s *soak) sendGood(long time.Duration) {
	var sends sync.WaitGroup
	tick := time.NewTicker(time.Second / soakRate)
	defer tick.Stop()
	n := 0
	for began := time.Now(); time.Since(began) < long; n++ {
		select {
		case <-s.p.done:
			s.t.Fatalf("millrace ended after %s: %v\n%s", time.Since(began), s.p.err, tailOf(s.p.log()))
		case <-tick.C:
		}
		id, way := fmt.Sprint("g-", n), s.post
		if n%2 == 1 {
			way = s.produce
		}
		sends.Go(func() { s.send(id, way) })
	}
	sends.Wait()
	if len(s.acked) < n*9/10 {
		s.t.Errorf("of %d good records %d were acknowledged", n, len(s.acked))
	}
}

// send sends a good record until it is acknowledged, though not for longer than it may
// take.
func (s *soak) send(id string, way func(id string) string) {
	began := time.Now()
	s.mu.Lock()
	s.sent[id] = began
	s.mu.Unlock()
	for time.Since(began) < soakSlowest {
		answer := way(id)
		s.count("good records", answer)
		if answer == "acknowledged" {
			s.mu.Lock()
			s.acked[id] = time.Now()
			s.mu.Unlock()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *soak) post(id string) string {
	answer := s.postBody("/shop", goodRecord(id, "eu"), nil)
	if answer == "202" {
		return "acknowledged"
	}
	return answer
}

func (s *soak) produce(id string) string {
	ctx, cancel := context.WithTimeout(s.t.Context(), soakSlowest)
	defer cancel()
	r := &handlers.Record{Topic: "shop", Partition: -1, Offset: -1, Key: []byte(id), Value: goodRecord(id, "eu")}
	if err := s.publisher.Produce(ctx, []*handlers.Record{r}); err != nil {
		return err.Error()
	}
	return "acknowledged"
}

func (s *soak) count(name, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[name] == nil {
		s.counts[name] = map[string]int{}
	}
	s.counts[name][what]++
}

// await waits until the good records that were acknowledged have had their effects,
// while the attacks go on.
func (s *soak) await() {
	s.t.Helper()
	admin := bed{}.admin(s.t, s.broker)
	want, began := len(s.acked), time.Now()
	for {
		calls, files, copies := s.called(), len(s.filed()), 0
		ends, err := admin.EndOffsets(s.t.Context(), "copy_eu")
		for _, end := range ends["copy_eu"] {
			copies += int(end)
		}
		if err == nil && min(calls, copies, files) >= want {
			s.t.Logf("the last of %d good records had its effects within %s", want, time.Since(began))
			return
		}
		if waited := time.Since(began); waited > 2*soakSlowest {
			s.t.Errorf("%s after the last of %d good records there were %d calls, %d copies and %d lines, %v", waited, want, calls, copies, files, err)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// called is how many good records the receiver was called for.
func (s *soak) called() (n int) {
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	for id := range s.receiver.calls {
		if _, ok := s.acked[id]; ok {
			n++
		}
	}
	return n
}

// filed are the ids of the good records in their file, in its order.
func (s *soak) filed() (ids []string) {
	text, err := os.ReadFile(filepath.Join(s.p.dir, "out", "eu.jsonl"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if id := idOf([]byte(line)); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// idOf is the id of a good record, "" of another one.
func idOf(value []byte) string {
	var r struct{ ID string }
	if json.Unmarshal(value, &r) != nil || !strings.HasPrefix(r.ID, "g-") {
		return ""
	}
	return r.ID
}

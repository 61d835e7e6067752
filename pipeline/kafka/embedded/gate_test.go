package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// Clients are told of what is served, and of nothing else.
func TestOnlyWhatIsServedIsAdvertised(t *testing.T) {
	b := start(t, Config{})
	for _, version := range []int16{0, 3, 4, 5} {
		request := kmsg.NewPtrApiVersionsRequest()
		request.ClientSoftwareName, request.ClientSoftwareVersion, request.Version = "a", "1", version
		client := rawClient{addr: b.Addr()}
		answer, err := client.ask(request)
		if err != nil {
			t.Fatal(err)
		}
		client.close()
		got := map[kmsg.Key]int16{}
		for _, k := range answer.(*kmsg.ApiVersionsResponse).ApiKeys {
			got[kmsg.Key(k.ApiKey)] = k.MaxVersion
		}
		if len(got) != len(served()) || got[kmsg.Produce] != 12 {
			t.Errorf("version %d: %v", version, got)
		}
	}
}

// An ordinary client goes on producing to topics that another one deleted.
func TestAClientWhoseTopicsWereDeleted(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"one": 1, "two": 1, "orders": 1})
	c := client(t, b.Addr(), kgo.RecordRetries(2), kgo.UnknownTopicRetries(1), kgo.ProducerLinger(20*time.Millisecond))
	produce(t, c, "one", "x")
	produce(t, c, "two", "x")
	if _, err := kadm.NewClient(client(t, b.Addr())).DeleteTopics(t.Context(), "one", "two"); err != nil {
		t.Fatal(err)
	}
	for _, result := range c.ProduceSync(t.Context(), &kgo.Record{Topic: "one"}, &kgo.Record{Topic: "two"}) {
		if !errors.Is(result.Err, kerr.UnknownTopicOrPartition) {
			t.Errorf("got %v", result.Err)
		}
	}
	produce(t, c, "orders", "still here")
}

// allocates tells how many bytes this process allocates for f: the least of three times,
// since what else goes on meanwhile, such as the end of an earlier request, only adds to it.
func allocates(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// A request costs what it has, not what it claims to have.
func TestRequestsThatClaimMuch(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", "before")
	// Each list claims as many elements as there are bytes left.
	list := func(key kmsg.Key, version int16, head string, size int) []byte {
		frame := binary.BigEndian.AppendUint32(nil, uint32(size))
		frame = binary.BigEndian.AppendUint16(frame, uint16(key))
		frame = binary.BigEndian.AppendUint16(frame, uint16(version))
		frame = append(frame, 0, 0, 0, 1, 0, 1, 'x')
		frame = append(frame, head...)
		frame = binary.BigEndian.AppendUint32(frame, uint32(size-len(frame)))
		return append(frame, make([]byte, size+4-len(frame))...)
	}
	for name, test := range map[string]struct {
		frame []byte
		most  uint64
	}{
		"metadata, 99 MiB": {list(kmsg.Metadata, 1, "", 99<<20), 32 << 20},
		"metadata, 1 MiB":  {list(kmsg.Metadata, 1, "", 1<<20), 128 << 20},
		"produce, 50 MiB":  {list(kmsg.Produce, 7, "\xff\xff\x00\x01\x00\x00\x03\xe8", 50<<20), 512 << 20},
		"a claim alone":    {[]byte{0x06, 0, 0, 0, 0, 0, 0, 7, 0, 0}, 32 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if got := allocates(func() { sendPackets(t, b.Addr(), test.frame) }); got > test.most {
				t.Errorf("allocated %d MiB, want at most %d MiB", got>>20, test.most>>20)
			}
		})
	}
	produce(t, c, "orders", "after")
}

// brokenListener fails a few times, as where descriptors are used up.
type brokenListener struct {
	net.Listener
	failures int
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestTheListenerOutlivesErrors(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{})
	l := &gateListener{Listener: &brokenListener{inner, 3}, gate: b.gate}
	out, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v of a closed listener", err)
	}
}

// The idlest connections go where there are too many; a client that works is served.
func TestConnectionsAreBounded(t *testing.T) {
	b := start(t, Config{maxConns: 8})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", "before")
	var idle []net.Conn
	for range 40 {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		idle = append(idle, conn)
		produce(t, c, "orders", "x")
	}
	_ = idle[0].SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := idle[0].Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the idlest: %v", err)
	}
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	if n := len(b.gate.conns); n > 8 {
		t.Errorf("%d connections", n)
	}
}

// Who asks nothing for long is cut off, and who waits for an answer is not.
func TestIdleConnectionsEnd(t *testing.T) {
	b := start(t, Config{idleTime: 50 * time.Millisecond})
	create(t, b, map[string]int32{"orders": 1})
	idle, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version, fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes, fetch.SessionEpoch = 12, 500, 1, 1000, -1
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = "orders"
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.PartitionMaxBytes = 1000
	ft.Partitions = append(ft.Partitions, fp)
	fetch.Topics = append(fetch.Topics, ft)
	waits := rawClient{addr: b.Addr()}
	defer waits.close()
	if _, err := waits.ask(fetch); err != nil {
		t.Errorf("a fetch that waited for ten times as long: %v", err)
	}
	_ = idle.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
}

func TestABrokerThatNobodyReachesSaysSo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	_ = taken.Close()
	told := newAlarms()
	w := &watch{addr: addr, alarm: told.add}
	w.probe()
	w.probe()
	if got := told.list(); len(got) != 1 || got[0].Kind != AlarmUnreachable || !strings.Contains(got[0].Message, "does not answer on "+addr) {
		t.Errorf("alarms %v", got)
	}
	w.addr = start(t, Config{}).Addr()
	w.probe()
	if got := told.list(); len(got) != 2 || !got[1].Cleared {
		t.Errorf("alarms %v", got)
	}
}

// A fetch session would keep whatever a client names in it.
func TestThereAreNoFetchSessions(t *testing.T) {
	b := start(t, Config{})
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version, fetch.MaxWaitMillis, fetch.MinBytes, fetch.SessionEpoch = 12, 0, 0, 0
	client := rawClient{addr: b.Addr()}
	defer client.close()
	answer, err := client.ask(fetch)
	if err != nil {
		t.Fatal(err)
	}
	if r := answer.(*kmsg.FetchResponse); r.ErrorCode != 0 || r.SessionID != 0 {
		t.Errorf("answered session %d, %v", r.SessionID, kerr.ErrorForCode(r.ErrorCode))
	}
}

// A producer keeps its transactions over a restart, and one without a transactional
// id can't begin one that nothing ends: who reads what is committed reads on.
func TestTransactions(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Config{Dir: dir})
	create(t, b, map[string]int32{"orders": 1})
	transact := func(c *kgo.Client, value string, end kgo.TransactionEndTry) {
		t.Helper()
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := c.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	c := client(t, b.Addr(), kgo.TransactionalID("t"))
	transact(c, "one", kgo.TryCommit)
	transact(c, "two", kgo.TryAbort)
	addr := b.Addr()
	stop(t, b)
	again, err := Open(t.Context(), Config{Dir: dir, Listen: addr, Logger: b.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, again) })
	transact(c, "three", kgo.TryCommit)

	plain := client(t, addr)
	produce(t, plain, "orders", "four")
	init := rawClient{addr: addr}
	defer init.close()
	request := kmsg.NewPtrInitProducerIDRequest()
	request.Version, request.ProducerID, request.ProducerEpoch = 4, -1, -1
	answer, err := init.ask(request)
	if err != nil {
		t.Fatal(err)
	}
	batch := hostile.BatchOf(1, 0)
	batch.Producer, batch.Epoch, batch.Sequence, batch.Transactional = answer.(*kmsg.InitProducerIDResponse).ProducerID, 0, 0, true
	if refused := produceBatch(t, plain, "orders", batch.Encode()); !errors.Is(kerr.ErrorForCode(refused.ErrorCode), kerr.InvalidRecord) {
		t.Errorf("answered %v", kerr.ErrorForCode(refused.ErrorCode))
	}
	produce(t, plain, "orders", "five")
	reader := client(t, addr, kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for len(got) < 4 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if want := []string{"one", "three", "four", "five"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestPartitionsAreBounded(t *testing.T) {
	for files, want := range map[uint64]int64{64: 60, 1024: 256, 1 << 20: 4_000} {
		if got := mostPartitions(files); got != want {
			t.Errorf("with %d files: %d partitions, want %d", files, got, want)
		}
	}
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	admin := kadm.NewClient(c)
	made, err := admin.CreateTopics(t.Context(), 1<<30, 1, nil, "vast")
	if err != nil {
		t.Fatal(err)
	}
	if r := made["vast"]; !errors.Is(r.Err, kerr.PolicyViolation) || !strings.Contains(r.ErrMessage, "delete topics that are done with") {
		t.Errorf("a vast topic: %v %s", r.Err, r.ErrMessage)
	}
	more, err := admin.CreatePartitions(t.Context(), 1<<30, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if r := more["orders"]; !errors.Is(r.Err, kerr.PolicyViolation) {
		t.Errorf("more partitions: %v", r.Err)
	}
	if err := b.CreateTopics(t.Context(), map[string]int32{"vast": 1 << 30}); err == nil || !strings.Contains(err.Error(), "delete topics") {
		t.Errorf("made here: %v", err)
	}
	produce(t, c, "orders", "still here")
}

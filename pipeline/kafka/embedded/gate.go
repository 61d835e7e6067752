package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/memory"
)

// gate stands between clients and kfake, which trusts them: it was made for tests,
// runs in this process, and a request that it does not expect ends the process.
// Every request is read and parsed here first. What no ordinary client sends costs
// its sender the connection, and what can be answered is; nothing else reaches
// kfake.
type gate struct {
	log      *slog.Logger
	produced func(bytes int64)
	served   map[kmsg.Key]int16
	batches  *batchChecker
	// frames bounds what all requests hold above freeFrame each.
	frames *memory.Account
	// large lets one large request at a time be parsed.
	large chan struct{}
	idle  time.Duration
	most  int

	mu    sync.Mutex
	conns map[*gateConn]struct{}
	// own are the addresses of this process's own clients.
	own   map[string]bool
	keeps keeps
	// transactional are the producers that may write in transactions.
	transactional map[int64]struct{}
	// left are members whose connection closed while they waited for their group,
	// and wake tells that there are some.
	left    []waiting
	wake    chan struct{}
	closing bool
	full    time.Time // when it was last said that there are too many connections
}

const (
	// maxProduce is what Apache Kafka takes by default (socket.request.max.bytes);
	// maxFrame is what any other request may have.
	maxProduce = 100 << 20
	maxFrame   = 1 << 20
	// freeFrame of each request is not taken from the account.
	freeFrame = 64 << 10
	// frameTime bounds how long a request takes to arrive, and answerTime how long
	// an answer takes to be read.
	frameTime  = 20 * time.Second
	answerTime = 30 * time.Second
	// maxIdle is how long a connection may ask nothing, as in Apache Kafka
	// (connections.max.idle.ms).
	maxIdle = 10 * time.Minute
	// maxConns bounds the connections, where the process may have four times as many
	// files open: the rest is for its other doors and for files.
	maxConns = 256
	// mostFrames and leastFrames bound what requests may hold in all, kfake's copy
	// included; between them it is an eighth of what the process may use.
	mostFrames, leastFrames = 128 << 20, 32 << 20
	// maxElements bounds what a request may list in all.
	maxElements = 20_000
)

func newGate(config Config, produced func(int64), f found) *gate {
	g := &gate{
		log: config.Logger, produced: produced, served: served(), batches: newBatchChecker(),
		frames: memory.NewAccount(frameMemory()), large: make(chan struct{}, 1),
		idle: config.idleTime, most: config.maxConns,
		conns: map[*gateConn]struct{}{}, own: map[string]bool{}, keeps: newKeeps(f), transactional: f.transactional,
		wake: make(chan struct{}, 1),
	}
	return g
}

// served are the requests that are let through with the highest version of each:
// what ordinary clients send, transactions and administration included. Left out are
// access control, quotas and reassignment, which mean nothing here, and share groups
// and the newer group protocol, which kfake lets anybody grow without bound.
func served() map[kmsg.Key]int16 {
	return map[kmsg.Key]int16{
		// From version 13 on topics go by ID, and a request with two that are gone
		// ends kfake.
		kmsg.Produce:         12,
		kmsg.Fetch:           18,
		kmsg.ListOffsets:     10,
		kmsg.Metadata:        13,
		kmsg.OffsetCommit:    10,
		kmsg.OffsetFetch:     10,
		kmsg.DescribeGroups:  6,
		kmsg.ListGroups:      5,
		kmsg.ApiVersions:     5,
		kmsg.FindCoordinator: 6,
		kmsg.JoinGroup:       9,
		kmsg.Heartbeat:       4,
		kmsg.LeaveGroup:      5,
		kmsg.SyncGroup:       5,

		kmsg.CreateTopics:  7,
		kmsg.DeleteTopics:  6,
		kmsg.DeleteRecords: 2,
		kmsg.DeleteGroups:  3,
		kmsg.OffsetDelete:  0,

		kmsg.CreatePartitions:           3,
		kmsg.DescribeCluster:            2,
		kmsg.DescribeConfigs:            4,
		kmsg.AlterConfigs:               2,
		kmsg.IncrementalAlterConfigs:    1,
		kmsg.DescribeLogDirs:            5,
		kmsg.ListPartitionReassignments: 0,
		kmsg.OffsetForLeaderEpoch:       4,

		kmsg.InitProducerID:     5,
		kmsg.AddPartitionsToTxn: 3, // beyond, brokers only
		kmsg.AddOffsetsToTxn:    4,
		kmsg.EndTxn:             5,
		kmsg.TxnOffsetCommit:    6,
	}
}

// frameMemory is what requests may hold in all.
func frameMemory() int64 {
	return min(max(debug.SetMemoryLimit(-1)/8, leastFrames), mostFrames)
}

// mostBytes is how long a request may be: with kfake's copy it has to fit.
func (g *gate) mostBytes(key kmsg.Key) int64 {
	if key == kmsg.Produce {
		return min(maxProduce, g.frames.Size()/2)
	}
	return maxFrame
}

// request is one that was read.
type request struct {
	key  kmsg.Key
	corr int32
	body kmsg.Request
	head []byte // the length and the header
	raw  []byte // all of it, the length included
	held holding
	// spoilt are the batches that kfake is made to refuse, with the reason.
	spoilt map[place]string
	// silent says that there is no answer to it.
	silent bool
	wait   waiting
}

// place is a partition that a request names.
type place struct {
	topic     string
	partition int32
}

var (
	errNoKafka = errors.New("not a Kafka request")
	errRefused = errors.New("not a request that the embedded broker takes")
)

// parse reads a request, strictly.
func (g *gate) parse(frame []byte) (*request, error) {
	reader := kbin.Reader{Src: frame[4:]}
	req := &request{key: kmsg.Key(reader.Int16()), raw: frame}
	version := reader.Int16()
	req.corr = reader.Int32()
	reader.NullableString() // the client's name
	most, ok := g.served[req.key]
	if !ok || version < 0 || version > most && req.key != kmsg.ApiVersions || !reader.Ok() {
		return nil, errRefused
	}
	if version > most {
		return req, nil // kfake answers with what it has
	}
	req.body = kmsg.RequestForKey(int16(req.key))
	req.body.SetVersion(version)
	if req.body.IsFlexible() {
		kmsg.SkipTags(&reader)
	}
	if !reader.Ok() {
		return nil, errRefused
	}
	req.head = frame[:len(frame)-len(reader.Src)]
	if len(frame) > freeFrame {
		g.large <- struct{}{}
		defer func() { <-g.large }()
	}
	if req.key == kmsg.Produce && !countProduce(reader.Src, version) {
		return nil, errRefused
	}
	if err := req.body.ReadFrom(reader.Src); err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if len(frame) > freeFrame && elements(req.body) > maxElements {
		return nil, errRefused
	}
	return req, nil
}

// rewrite puts what became of the body into the frame.
func (r *request) rewrite() {
	frame := append(make([]byte, 0, len(r.raw)+16), r.head...)
	r.raw = r.body.AppendTo(frame)
	kbin.AppendInt32(r.raw[:0], int32(len(r.raw)-4))
}

// countProduce walks through a produce request without holding any of it: kmsg makes
// what a list claims to have before it reads it.
func countProduce(body []byte, version int16) bool {
	reader := kbin.Reader{Src: body}
	flexible := version >= 9
	list := func() int32 {
		if flexible {
			return reader.CompactArrayLen()
		}
		return reader.ArrayLen()
	}
	tags := func() {
		if flexible {
			kmsg.SkipTags(&reader)
		}
	}
	switch {
	case flexible:
		reader.CompactNullableString()
	case version >= 3:
		reader.NullableString()
	}
	reader.Int16()
	reader.Int32()
	left := int32(maxElements)
	for range list() {
		if left--; left < 0 || !reader.Ok() {
			return false
		}
		if flexible {
			reader.CompactString()
		} else {
			reader.Span(int(reader.Int16()))
		}
		for range list() {
			if left--; left < 0 || !reader.Ok() {
				return false
			}
			reader.Int32()
			if flexible {
				reader.CompactNullableBytes()
			} else {
				reader.NullableBytes()
			}
			tags()
		}
		tags()
	}
	tags()
	return reader.Complete() == nil
}

// admit takes a connection. Where there are too many, that one goes that has been
// idle for the longest time, before any that waits for an answer. This process's own
// count for nothing, and none of them goes.
func (g *gate) admit(conn net.Conn) *gateConn {
	c := &gateConn{Conn: conn, gate: g, turn: make(chan struct{}, 1), closed: make(chan struct{}), since: time.Now()}
	c.turn <- struct{}{}
	g.mu.Lock()
	c.own = g.own[conn.RemoteAddr().String()]
	var out *gateConn
	if !c.own && len(g.conns) >= g.most {
		strangers := 0
		for other := range g.conns {
			if other.own {
				continue
			}
			if strangers++; out == nil || other.idler(out) {
				out = other
			}
		}
		if strangers < g.most {
			out = nil
		}
		delete(g.conns, out)
	}
	g.conns[c] = struct{}{}
	say := out != nil && time.Since(g.full) > repeatAfter
	if say {
		g.full = time.Now()
	}
	g.mu.Unlock()
	if out != nil {
		_ = out.Close()
	}
	if say {
		g.log.Warn("the embedded broker has too many connections: the idlest is closed for each new one", "connections",
			g.most)
	}
	return c
}

// gone forgets a connection and notes who waited on it.
func (g *gate) gone(c *gateConn, w waiting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	if w.member != "" && w.instance == nil && !g.closing {
		g.left = append(g.left, w)
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
}

// close tells that connections end with the broker from now on.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = true
}

// fetchBytes is how much one answer may bring: the more clients there are, the less,
// since an answer is held until it is read.
func (g *gate) fetchBytes() int32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int32(min(mostFetched, fetchMemory/max(1, len(g.conns))))
}

const (
	mostFetched = 8 << 20
	fetchMemory = 64 << 20
)

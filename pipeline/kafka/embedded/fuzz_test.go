package embedded

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stranger sends requests to a broker over a few connections: such that clients
// could send, such that are full of odd values, and such of which bytes are wrong.
type stranger struct {
	t    *testing.T
	addr string
	rand *rand.Rand
	// What was learnt from answers.
	members   []string
	producers []int64
	ids       [][16]byte
	conns     [4]net.Conn
	// owed are answers that are outstanding.
	owed [4][]kmsg.Request
	corr int32
}

func newStranger(t *testing.T, addr string, seed uint64) *stranger {
	s := &stranger{t: t, addr: addr, rand: rand.New(rand.NewPCG(seed, 1))}
	t.Cleanup(func() {
		for i := range s.conns {
			s.drop(i)
		}
	})
	return s
}

func (s *stranger) drop(i int) {
	if s.conns[i] != nil {
		_ = s.conns[i].Close()
	}
	s.conns[i], s.owed[i] = nil, nil
}

// step sends one request.
func (s *stranger) step() {
	i := s.rand.IntN(len(s.conns))
	if s.conns[i] == nil {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Fatalf("the broker is gone: %v", err)
		}
		s.conns[i] = conn
	}
	request := s.request()
	s.corr++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("stranger")).AppendRequest(nil, request, s.corr)
	if s.rand.IntN(4) == 0 {
		frame = s.mutate(frame)
	}
	_ = s.conns[i].SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := s.conns[i].Write(frame); err != nil {
		s.drop(i)
		return
	}
	if p, ok := request.(*kmsg.ProduceRequest); !ok || p.Acks != 0 {
		s.owed[i] = append(s.owed[i], request)
	}
	s.hear(i)
	if len(s.owed[i]) > 3 {
		s.drop(i)
	}
}

// hear reads what answers there are.
func (s *stranger) hear(i int) {
	for len(s.owed[i]) > 0 {
		_ = s.conns[i].SetReadDeadline(time.Now().Add(3 * time.Millisecond))
		var head [4]byte
		if n, err := io.ReadFull(s.conns[i], head[:]); err != nil {
			if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				s.drop(i)
			}
			return
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > 16<<20 {
			s.t.Fatalf("an answer of %d bytes", size)
		}
		frame := make([]byte, 4+size)
		_ = s.conns[i].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(s.conns[i], frame[4:]); err != nil {
			s.drop(i)
			return
		}
		request := s.owed[i][0]
		s.owed[i] = s.owed[i][1:]
		answer := request.ResponseKind()
		if decodeAnswer(answer, request.GetVersion(), frame) {
			s.learn(answer)
		}
	}
}

func (s *stranger) learn(answer kmsg.Response) {
	switch r := answer.(type) {
	case *kmsg.JoinGroupResponse:
		s.members = append(s.members, r.MemberID)
	case *kmsg.InitProducerIDResponse:
		s.producers = append(s.producers, r.ProducerID)
	case *kmsg.MetadataResponse:
		for _, topic := range r.Topics {
			if topic.Topic == nil || *topic.Topic != "kept" {
				s.ids = append(s.ids, topic.TopicID)
			}
		}
	}
	const kept = 20
	s.members = s.members[max(0, len(s.members)-kept):]
	s.producers = s.producers[max(0, len(s.producers)-kept):]
	s.ids = s.ids[max(0, len(s.ids)-kept):]
}

// request makes one of those that are served, and now and then another.
func (s *stranger) request() kmsg.Request {
	for {
		key := int16(s.rand.IntN(93))
		_, ok := served()[kmsg.Key(key)]
		request := kmsg.RequestForKey(key)
		if request == nil || !ok && s.rand.IntN(20) > 0 {
			continue
		}
		most := request.MaxVersion()
		if ok && s.rand.IntN(10) > 0 {
			most = served()[kmsg.Key(key)]
		}
		request.SetVersion(int16(s.rand.IntN(int(most) + 1)))
		s.fill(reflect.ValueOf(request).Elem(), "")
		s.sensible(request)
		return request
	}
}

// sensible makes requests that get further than odd values do.
func (s *stranger) sensible(request kmsg.Request) {
	if s.rand.IntN(4) == 0 {
		return
	}
	switch r := request.(type) {
	case *kmsg.JoinGroupRequest:
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 6000, int32(s.rand.IntN(200))
		r.ProtocolType = "consumer"
	case *kmsg.CreateTopicsRequest:
		for i := range r.Topics {
			r.Topics[i].ReplicaAssignment, r.Topics[i].NumPartitions, r.Topics[i].ReplicationFactor = nil, int32(1+s.rand.IntN(3)), 1
		}
	case *kmsg.ProduceRequest:
		r.Acks = int16(s.rand.IntN(3) - 1)
		if r.Version < 3 {
			r.Version = 3
		}
	case *kmsg.FetchRequest:
		r.MaxWaitMillis, r.MaxBytes, r.Version = int32(s.rand.IntN(3)), 1<<20, max(r.Version, 4)
		r.SessionEpoch = int32(s.rand.IntN(3) - 1)
	case *kmsg.InitProducerIDRequest:
		r.TransactionTimeoutMillis = 1000
		r.ProducerID, r.ProducerEpoch = -1, -1
	case *kmsg.ApiVersionsRequest:
		r.ClientSoftwareName, r.ClientSoftwareVersion = "a", "1"
	}
}

var uuidType = reflect.TypeFor[[16]byte]()

// fill puts values in that mean something now and then.
func (s *stranger) fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kmsg.Tags]() {
			return
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Name != "Version" {
				s.fill(v.Field(i), field.Name)
			}
		}
	case reflect.Pointer:
		if s.rand.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(v.Elem(), name)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(s.bytes(name))
			return
		}
		if s.rand.IntN(8) == 0 {
			return // nil
		}
		n := s.rand.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.fill(v.Index(i), name)
		}
	case reflect.Array:
		if v.Type() == uuidType {
			v.Set(reflect.ValueOf(s.id()))
		}
	case reflect.String:
		v.SetString(s.text(name))
	case reflect.Bool:
		v.SetBool(s.rand.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(s.number(name))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(s.rand.IntN(4)))
	case reflect.Float64:
		v.SetFloat(s.rand.NormFloat64())
	}
}

func (s *stranger) id() [16]byte {
	if len(s.ids) > 0 && s.rand.IntN(4) > 0 {
		return s.ids[s.rand.IntN(len(s.ids))]
	}
	return [16]byte{byte(s.rand.IntN(3))}
}

func (s *stranger) text(name string) string {
	switch {
	case name == "Topic" || name == "Topics" || name == "Name" && s.rand.IntN(2) == 0 || name == "ResourceName":
		return s.one("orders", "a", "b", "gone", "", "0", "x/y")
	case name == "MemberID" && len(s.members) > 0 && s.rand.IntN(5) > 0:
		return s.members[s.rand.IntN(len(s.members))]
	case name == "Group" || name == "Groups" || name == "CoordinatorKey":
		return s.one("g", "h", "")
	case name == "TransactionalID" || name == "TransactionID":
		return s.one("t", "u", "")
	case name == "ConfigNames" || name == "Name" && s.rand.IntN(2) == 0:
		return s.one("max.message.bytes", "segment.bytes", "cleanup.policy", "retention.ms", "group.max.size", "range", "x")
	case name == "Value":
		return s.one("1", "-1", "compact", "2000000", "x", "99999999999999999999")
	}
	return s.one("", "range", "sticky", "consumer", "orders", "i", "\x00\xff", "1")
}

func (s *stranger) one(of ...string) string { return of[s.rand.IntN(len(of))] }

func (s *stranger) number(name string) int64 {
	switch {
	case name == "ProducerID" && len(s.producers) > 0 && s.rand.IntN(4) > 0:
		return s.producers[s.rand.IntN(len(s.producers))]
	case name == "ProducerEpoch" || name == "Generation" || name == "Partition" || name == "Partitions" || name == "CurrentLeaderEpoch":
		return int64(s.rand.IntN(5) - 1)
	}
	odd := []int64{-1, 0, 1, 2, 3, 100, 6000, -2, -3, -4, -5, 1<<15 - 1, 1<<31 - 1, 1<<63 - 1, -1 << 63, -1 << 31}
	return odd[s.rand.IntN(len(odd))]
}

// bytes are records where a batch has its place.
func (s *stranger) bytes(name string) []byte {
	if name != "Records" {
		return []byte(s.one("", "x", "\x00\x01\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff"))
	}
	b := batchOf(s.rand.IntN(5), byte(s.rand.IntN(5)))
	if len(s.producers) > 0 && s.rand.IntN(2) == 0 {
		b.producer, b.epoch, b.sequence = s.producers[s.rand.IntN(len(s.producers))], int16(s.rand.IntN(2)), int32(s.rand.IntN(4))
		b.transactional = s.rand.IntN(2) == 0
	}
	raw := b.encode()
	if s.rand.IntN(3) == 0 {
		raw = s.mutate(raw)
		if s.rand.IntN(2) == 0 {
			seal(raw)
		}
	}
	return raw
}

// mutate changes some bytes, or takes some away.
func (s *stranger) mutate(raw []byte) []byte {
	raw = slices.Clone(raw)
	for range 1 + s.rand.IntN(4) {
		if len(raw) == 0 {
			return raw
		}
		switch at := s.rand.IntN(len(raw)); s.rand.IntN(4) {
		case 0:
			raw[at] ^= 1 << s.rand.IntN(8)
		case 1:
			raw[at] = byte(s.rand.IntN(256))
		case 2:
			raw = slices.Delete(raw, at, min(len(raw), at+1+s.rand.IntN(4)))
		case 3:
			raw = slices.Insert(raw, at, byte(s.rand.IntN(256)))
		}
	}
	if len(raw) >= 4 && s.rand.IntN(4) > 0 {
		binary.BigEndian.PutUint32(raw, uint32(len(raw)-4))
	}
	return raw
}

// attack runs a number of requests against a broker of its own, though not for
// longer than so, and checks that everybody else goes on.
func attack(t *testing.T, seed uint64, requests int, longest time.Duration) {
	b := start(t, Config{SizeLimit: 64 << 20})
	create(t, b, map[string]int32{"orders": 2, "a": 1, "kept": 1})
	c := client(t, b.Addr())
	produce(t, c, "kept", "before")
	s := newStranger(t, b.Addr(), seed)
	for began := time.Now(); requests > 0 && time.Since(began) < longest; requests-- {
		s.step()
	}
	produce(t, c, "kept", "after")
	if got := read(t, b.Addr(), "kept"); !slices.Equal(got, []string{"0 before", "1 after"}) {
		t.Errorf("read %v", got)
	}
}

func TestStrangersDoNotEndTheBroker(t *testing.T) {
	attack(t, 20, 20_000, time.Minute)
}

func FuzzRequests(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	// A fuzzer takes what runs for ten seconds for hung.
	f.Fuzz(func(t *testing.T, seed uint64) { attack(t, seed, 200, 2*time.Second) })
}

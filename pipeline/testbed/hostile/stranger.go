package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Stranger sends requests to a broker over a few connections: such that clients
// could send, such that are full of odd values, and such of which bytes are wrong.
type Stranger struct {
	addr   string
	served map[kmsg.Key]int16
	rand   *rand.Rand
	// What was learnt from answers.
	members   []string
	producers []int64
	ids       [][16]byte
	conns     [4]net.Conn
	// owed are answers that are outstanding.
	owed [4][]kmsg.Request
	corr int32
}

// NewStranger makes one that goes by a seed. Requests that are served are those that
// it sends most, up to these versions. It knows the topics orders, a, b and gone, and
// no others.
func NewStranger(addr string, served map[kmsg.Key]int16, seed uint64) *Stranger {
	return &Stranger{addr: addr, served: served, rand: rand.New(rand.NewPCG(seed, 1))}
}

// Close closes its connections.
func (s *Stranger) Close() {
	for i := range s.conns {
		s.drop(i)
	}
}

func (s *Stranger) drop(i int) {
	if s.conns[i] != nil {
		_ = s.conns[i].Close()
	}
	s.conns[i], s.owed[i] = nil, nil
}

// Step sends one request. It fails where no connection is to be had, or an answer is
// far too long.
func (s *Stranger) Step() error {
	i := s.rand.IntN(len(s.conns))
	if s.conns[i] == nil {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			return fmt.Errorf("the broker is gone: %w", err)
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
		return nil
	}
	if p, ok := request.(*kmsg.ProduceRequest); !ok || p.Acks != 0 {
		s.owed[i] = append(s.owed[i], request)
	}
	if err := s.hear(i); err != nil {
		return err
	}
	if len(s.owed[i]) > 3 {
		s.drop(i)
	}
	return nil
}

// hear reads what answers there are.
func (s *Stranger) hear(i int) error {
	for len(s.owed[i]) > 0 {
		_ = s.conns[i].SetReadDeadline(time.Now().Add(3 * time.Millisecond))
		var head [4]byte
		if n, err := io.ReadFull(s.conns[i], head[:]); err != nil {
			if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				s.drop(i)
			}
			return nil
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > 16<<20 {
			return fmt.Errorf("an answer of %d bytes", size)
		}
		frame := make([]byte, 4+size)
		_ = s.conns[i].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(s.conns[i], frame[4:]); err != nil {
			s.drop(i)
			return nil
		}
		request := s.owed[i][0]
		s.owed[i] = s.owed[i][1:]
		answer := request.ResponseKind()
		if decoded(answer, request.GetVersion(), frame) {
			s.learn(answer)
		}
	}
	return nil
}

// decoded reads an answer as it came, and tells whether it could.
func decoded(answer kmsg.Response, version int16, frame []byte) bool {
	answer.SetVersion(version)
	if len(frame) < 8 {
		return false
	}
	body := frame[8:]
	if answer.IsFlexible() && answer.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return false
		}
		body = body[1:]
	}
	return answer.ReadFrom(body) == nil
}

func (s *Stranger) learn(answer kmsg.Response) {
	switch r := answer.(type) {
	case *kmsg.JoinGroupResponse:
		s.members = append(s.members, r.MemberID)
	case *kmsg.InitProducerIDResponse:
		s.producers = append(s.producers, r.ProducerID)
	case *kmsg.MetadataResponse:
		for _, topic := range r.Topics {
			if topic.Topic == nil || slices.Contains(strangersTopics(), *topic.Topic) {
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
func (s *Stranger) request() kmsg.Request {
	for {
		key := int16(s.rand.IntN(93))
		_, ok := s.served[kmsg.Key(key)]
		request := kmsg.RequestForKey(key)
		if request == nil || !ok && s.rand.IntN(20) > 0 {
			continue
		}
		most := request.MaxVersion()
		if ok && s.rand.IntN(10) > 0 {
			most = s.served[kmsg.Key(key)]
		}
		request.SetVersion(int16(s.rand.IntN(int(most) + 1)))
		s.fill(reflect.ValueOf(request).Elem(), "")
		s.sensible(request)
		return request
	}
}

// sensible makes requests that get further than odd values do.
func (s *Stranger) sensible(request kmsg.Request) {
	if s.rand.IntN(4) == 0 {
		return
	}
	switch r := request.(type) {
	case *kmsg.JoinGroupRequest:
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 6000, int32(s.rand.IntN(200))
		r.ProtocolType = "consumer"
	case *kmsg.CreateTopicsRequest:
		for i := range r.Topics {
			r.Topics[i].ReplicaAssignment, r.Topics[i].NumPartitions, r.Topics[i].ReplicationFactor = nil,
				int32(1+s.rand.IntN(3)), 1
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
func (s *Stranger) fill(v reflect.Value, name string) {
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

func strangersTopics() []string { return []string{"orders", "a", "b", "gone"} }

func (s *Stranger) id() [16]byte {
	if len(s.ids) > 0 && s.rand.IntN(4) > 0 {
		return s.ids[s.rand.IntN(len(s.ids))]
	}
	return [16]byte{byte(s.rand.IntN(3))}
}

func (s *Stranger) text(name string) string {
	switch {
	case name == "Topic" || name == "Topics" || name == "Name" && s.rand.IntN(2) == 0 || name == "ResourceName":
		return s.one(append(strangersTopics(), "", "0", "x/y")...)
	case name == "MemberID" && len(s.members) > 0 && s.rand.IntN(5) > 0:
		return s.members[s.rand.IntN(len(s.members))]
	case name == "Group" || name == "Groups" || name == "CoordinatorKey":
		return s.one("g", "h", "")
	case name == "TransactionalID" || name == "TransactionID":
		return s.one("t", "u", "")
	case name == "ConfigNames" || name == "Name" && s.rand.IntN(2) == 0:
		return s.one("max.message.bytes", "segment.bytes", "cleanup.policy", "retention.ms", "group.max.size", "range",
			"x")
	case name == "Value":
		return s.one("1", "-1", "compact", "2000000", "x", "99999999999999999999")
	}
	return s.one("", "range", "sticky", "consumer", "orders", "i", "\x00\xff", "1")
}

func (s *Stranger) one(of ...string) string { return of[s.rand.IntN(len(of))] }

func (s *Stranger) number(name string) int64 {
	switch {
	case name == "ProducerID" && len(s.producers) > 0 && s.rand.IntN(4) > 0:
		return s.producers[s.rand.IntN(len(s.producers))]
	case name == "ProducerEpoch" || name == "Generation" || name == "Partition" || name == "Partitions" ||
		name == "CurrentLeaderEpoch":
		return int64(s.rand.IntN(5) - 1)
	}
	odd := []int64{-1, 0, 1, 2, 3, 100, 6000, -2, -3, -4, -5, 1<<15 - 1, 1<<31 - 1, 1<<63 - 1, -1 << 63, -1 << 31}
	return odd[s.rand.IntN(len(odd))]
}

// bytes are records where a batch has its place.
func (s *Stranger) bytes(name string) []byte {
	if name != "Records" {
		return []byte(s.one("", "x", "\x00\x01\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff"))
	}
	b := BatchOf(s.rand.IntN(5), byte(s.rand.IntN(5)))
	if len(s.producers) > 0 && s.rand.IntN(2) == 0 {
		b.Producer, b.Epoch, b.Sequence = s.producers[s.rand.IntN(len(s.producers))], int16(s.rand.IntN(2)),
			int32(s.rand.IntN(4))
		b.Transactional = s.rand.IntN(2) == 0
	}
	raw := b.Encode()
	if s.rand.IntN(3) == 0 {
		raw = s.mutate(raw)
		if s.rand.IntN(2) == 0 {
			Seal(raw)
		}
	}
	return raw
}

// mutate changes some bytes, or takes some away.
func (s *Stranger) mutate(raw []byte) []byte {
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

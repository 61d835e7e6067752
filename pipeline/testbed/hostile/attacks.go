package hostile

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attacks ask for as much as they can, over a connection that has just been made, the
// nth of theirs: of the topic orders, and of big, which should have some megabytes.
func Attacks() map[string]func(conn net.Conn, n int) {
	send := func(conn net.Conn, r kmsg.Request) {
		_, _ = conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("x")).AppendRequest(nil, r, 1))
	}
	hear := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 16)) }
	head := func(size int, key kmsg.Key, version int16) []byte {
		frame := binary.BigEndian.AppendUint32(nil, uint32(size))
		frame = binary.BigEndian.AppendUint16(frame, uint16(key))
		return binary.BigEndian.AppendUint16(frame, uint16(version))
	}
	zeros := make([]byte, 1<<20)
	bomb := BatchOf(1, 4)
	bomb.Records = RecordOf(0, strings.Repeat("x", 100<<20))
	bombed := bomb.Encode()
	return map[string]func(conn net.Conn, n int){
		"a produce request of 99 MiB": func(conn net.Conn, _ int) {
			_, _ = conn.Write(head(99<<20, kmsg.Produce, 7))
			for range 99 {
				if _, err := conn.Write(zeros); err != nil {
					return
				}
			}
		},
		"metadata that claims a long list": func(conn net.Conn, _ int) {
			frame := append(head(1<<20, kmsg.Metadata, 1), 0, 0, 0, 1, 0, 1, 'x')
			frame = binary.BigEndian.AppendUint32(frame, 500_000)
			_, _ = conn.Write(append(frame, zeros[:1<<20+4-len(frame)]...))
			hear(conn)
		},
		"fetches that nobody reads": func(conn net.Conn, _ int) {
			r := kmsg.NewPtrFetchRequest()
			r.Version, r.MaxBytes, r.SessionEpoch = 12, 1<<30, -1
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = "big"
			p := kmsg.NewFetchRequestTopicPartition()
			p.PartitionMaxBytes = 1 << 30
			topic.Partitions = append(topic.Partitions, p)
			r.Topics = append(r.Topics, topic)
			send(conn, r)
			time.Sleep(300 * time.Millisecond)
		},
		"large joins": func(conn net.Conn, n int) {
			r := kmsg.NewPtrJoinGroupRequest()
			r.Version, r.Group, r.ProtocolType, r.SessionTimeoutMillis = 4, fmt.Sprintf("g-%d", n%50), "consumer",
				300_000
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = "range", zeros[:900<<10]
			r.Protocols = append(r.Protocols, p)
			send(conn, r)
			hear(conn)
		},
		"groups without end": func(conn net.Conn, n int) {
			r := kmsg.NewPtrOffsetCommitRequest()
			r.Version, r.Group, r.Generation = 2, fmt.Sprintf("h-%p-%d", conn, n), -1
			topic := kmsg.NewOffsetCommitRequestTopic()
			topic.Topic = "orders"
			topic.Partitions = append(topic.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
			r.Topics = append(r.Topics, topic)
			send(conn, r)
			hear(conn)
		},
		"bombs": func(conn net.Conn, _ int) {
			r := ProduceRequest("big", bombed)
			r.Version = 7
			send(conn, r)
			hear(conn)
		},
	}
}

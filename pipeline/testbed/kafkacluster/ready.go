//go:build unix

package kafkacluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// metadataRequest is one in Kafka's protocol, version 1, for no topic: key 3,
// version 1, correlation 7, client id null, an empty list of topics.
const metadataRequest = "\x00\x00\x00\x0e" + "\x00\x03\x00\x01" + "\x00\x00\x00\x07" + "\xff\xff" + "\x00\x00\x00\x00"

// brokerIDs asks one broker which brokers are in its cluster. A broker names
// itself there once the controller has let it in.
func brokerIDs(ctx context.Context, addr string) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(conn, metadataRequest); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, fmt.Errorf("ask %s for its brokers: %w", addr, err)
	}
	answer := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<20))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, fmt.Errorf("ask %s for its brokers: %w", addr, err)
	}
	return parseBrokers(answer)
}

// parseBrokers reads the first list of the answer: of each broker id, host,
// port and rack.
func parseBrokers(answer []byte) ([]int, error) {
	errShort := errors.New("the answer on brokers is cut off")
	if len(answer) < 8 {
		return nil, errShort
	}
	count := binary.BigEndian.Uint32(answer[4:])
	answer = answer[8:]
	var ids []int
	for range count {
		if len(answer) < 6 {
			return nil, errShort
		}
		ids = append(ids, int(int32(binary.BigEndian.Uint32(answer))))
		host := int(binary.BigEndian.Uint16(answer[4:]))
		if len(answer) < 6+host+4+2 {
			return nil, errShort
		}
		answer = answer[6+host+4:]
		// A null text has the length -1.
		rack := max(int(int16(binary.BigEndian.Uint16(answer))), 0)
		if len(answer) < 2+rack {
			return nil, errShort
		}
		answer = answer[2+rack:]
	}
	return ids, nil
}

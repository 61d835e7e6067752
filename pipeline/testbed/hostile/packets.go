package hostile

import (
	"encoding/hex"
	"net"
	"time"
)

// Killers ended a broker once, each a sequence of packets over one connection. They
// write to the topic orders.
func Killers() map[string][][]byte {
	return map[string][][]byte{
		"a group protocol twice": {
			packet("0000003c000b000200000001000178000167000027100000271000000008636f6e73756d657200000002000572616e676500000000000572616e676500000000"),
		},
		"a group protocol of none": {
			packet("00000031000b000400000001000178000167000027100000271000000008636f6e73756d657200000001000572616e676500000000"),
			packet("00000026000b000200000002000178000167000027100000271000000008636f6e73756d657200000000"),
		},
		"a record that is longer than its batch, and a search by time": {
			packet("000000890000000700000001000178ffffffff000003e80000000100066f726465727300000001000000000000005e000000000000000000000052ffffffff02598c95b500000000000100000000000003e8000003a352944000ffffffffffffffffffffffffffff00000002904e000000026b0a76616c7565020268011e000002026b0a76616c756502026801"),
			packet("000000300002000400000002000178ffffffff000000000100066f72646572730000000100000000ffffffff000002ba7def3000"),
		},
		"two topics under ids that are gone": {
			packet("000000450000000d000000010001780000ffff000003e80301010101010101010101010101010101020000000000000002020202020202020202020202020202020000000000000000"),
		},
	}
}

func packet(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

// Send writes packets over one connection, and waits for an answer or the end after
// each, though not for long. It fails where nobody listens.
func Send(addr string, packets ...[]byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, packet := range packets {
		_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Write(packet); err != nil {
			break
		}
		_, _ = conn.Read(make([]byte, 4096))
	}
	return nil
}

package embedded

import (
	"encoding/hex"
	"net"
	"slices"
	"testing"
	"time"
)

// killers ended a broker once, each a sequence of packets over one connection.
var killers = map[string][]string{
	"a group protocol twice": {
		"0000003c000b000200000001000178000167000027100000271000000008636f6e73756d657200000002000572616e676500000000000572616e676500000000",
	},
	"a group protocol of none": {
		"00000031000b000400000001000178000167000027100000271000000008636f6e73756d657200000001000572616e676500000000",
		"00000026000b000200000002000178000167000027100000271000000008636f6e73756d657200000000",
	},
	"a record that is longer than its batch, and a search by time": {
		"000000890000000700000001000178ffffffff000003e80000000100066f726465727300000001000000000000005e000000000000000000000052ffffffff02598c95b500000000000100000000000003e8000003a352944000ffffffffffffffffffffffffffff00000002904e000000026b0a76616c7565020268011e000002026b0a76616c756502026801",
		"000000300002000400000002000178ffffffff000000000100066f72646572730000000100000000ffffffff000002ba7def3000",
	},
	"two topics under ids that are gone": {
		"000000450000000d000000010001780000ffff000003e80301010101010101010101010101010101020000000000000002020202020202020202020202020202020000000000000000",
	},
}

func TestPacketsThatEndedABroker(t *testing.T) {
	for name, packets := range killers {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{})
			create(t, b, map[string]int32{"orders": 1})
			sendPackets(t, b.Addr(), decodePackets(t, packets)...)
			produce(t, client(t, b.Addr()), "orders", "still here")
		})
	}
}

func decodePackets(t testing.TB, packets []string) [][]byte {
	t.Helper()
	var raw [][]byte
	for _, packet := range packets {
		p, err := hex.DecodeString(packet)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, p)
	}
	return raw
}

// sendPackets writes packets over one connection, and waits for an answer or the
// end, though not for long.
func sendPackets(t *testing.T, addr string, packets ...[]byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, packet := range packets {
		_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Write(packet); err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
	}
}

// FuzzPackets sends any bytes.
func FuzzPackets(f *testing.F) {
	for _, packets := range killers {
		f.Add(slices.Concat(decodePackets(f, packets)...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := start(t, Config{})
		create(t, b, map[string]int32{"orders": 1})
		sendPackets(t, b.Addr(), raw)
		produce(t, client(t, b.Addr()), "orders", "still here")
	})
}

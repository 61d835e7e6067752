package embedded

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

func TestPacketsThatEndedABroker(t *testing.T) {
	for name, packets := range hostile.Killers() {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{})
			create(t, b, map[string]int32{"orders": 1})
			sendPackets(t, b.Addr(), packets...)
			produce(t, client(t, b.Addr()), "orders", "still here")
		})
	}
}

func sendPackets(t *testing.T, addr string, packets ...[]byte) {
	t.Helper()
	if err := hostile.Send(addr, packets...); err != nil {
		t.Fatal(err)
	}
}

// FuzzPackets sends any bytes.
func FuzzPackets(f *testing.F) {
	for _, packets := range hostile.Killers() {
		f.Add(slices.Concat(packets...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := start(t, Config{})
		create(t, b, map[string]int32{"orders": 1})
		sendPackets(t, b.Addr(), raw)
		produce(t, client(t, b.Addr()), "orders", "still here")
	})
}

//go:build real

package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// heldOrders is how many orders the first process holds when it dies or stops.
const heldOrders = 20

// heldCalls starts a process whose sink calls hang; release lets them end.
func heldCalls(t *testing.T, b bed, receiver *account) (first *process, release func()) {
	t.Helper()
	b.create(t, 6, "orders", "invoices", "dead")
	first = notify(t, b, receiver, "lease: 5s")
	release = receiver.holdCalls()
	t.Cleanup(release)
	b.send(t, "", b.orders(0, heldOrders))
	first.await("its calls hang", func() bool { return first.status().Pipelines[0].InFlight == heldOrders })
	time.Sleep(200 * time.Millisecond) // until as many calls hang as will
	return first, release
}

// A replica dies with claims in its hands: another one takes them over once the
// lease has run out, and no record is lost.
func TestRealClaimsOfTheDead(t *testing.T) {
	t.Parallel()
	b, receiver := kafkaAndRedis(t), newAccount(t)
	first, release := heldCalls(t, b, receiver)
	calls, orders := receiver.count()
	if calls != orders || calls == 0 {
		t.Fatalf("%d calls for %d orders hang", calls, orders)
	}
	second := notify(t, b, receiver, "lease: 5s")
	first.kill()
	died := time.Now()
	release()
	b.ended(t, second)
	took := time.Since(died)
	t.Logf("taken over %s after the death, with a session of 6 s and a lease of 5 s", took)
	if took > 20*time.Second {
		t.Error("that is too long")
	}
	again, orders := receiver.count()
	if orders != heldOrders || again > heldOrders+calls {
		t.Errorf("%d calls for %d orders, want %d and at most the %d that hung once more", again, orders, heldOrders, calls)
	}
	b.nothingDead(t, second)
	if code, out, errs := millrace(t, second.dir, "keys", "get", b.name("invoices"), "order:o-0"); code != 0 || !strings.Contains(out, "confirmed") || !strings.Contains(out, fmt.Sprint("pid ", second.cmd.Process.Pid)) {
		t.Errorf("keys get: code %d\n%s%s", code, out, errs)
	}
}

// A replica is stopped for longer than its session and its leases, and goes on:
// what it was doing belongs to another one by then, so that it can neither
// confirm nor commit.
func TestRealClaimsOfThePaused(t *testing.T) {
	t.Parallel()
	b, receiver := kafkaAndRedis(t), newAccount(t)
	first, release := heldCalls(t, b, receiver)
	second := notify(t, b, receiver, "lease: 5s")
	hung, _ := receiver.count()
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // until all its threads have stopped
	release()                          // the answers wait in the first one's sockets
	b.ended(t, second)
	b.send(t, "", b.orders(heldOrders, 100))
	b.ended(t, second)
	before := b.committed(t, "")
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.await("it is back", func() bool { return len(owned(first)) == 3 })
	b.send(t, "", b.orders(heldOrders+100, 100))
	b.ended(t, second)
	for part, at := range b.committed(t, "") {
		if at < before[part] {
			t.Errorf("partition %d: the commit went back from %d to %d", part, before[part], at)
		}
	}
	calls, orders := receiver.count()
	if orders != heldOrders+200 || calls > heldOrders+200+hung {
		t.Errorf("%d calls for %d orders, want %d and at most the %d that hung once more", calls, orders, heldOrders+200, hung)
	}
	for i := range heldOrders {
		key := fmt.Sprint("order:o-", i)
		code, out, errs := millrace(t, second.dir, "keys", "get", b.name("invoices"), key, "--format", "json")
		var found struct {
			Row struct {
				State  string
				Holder struct{ PID int }
			}
		}
		if err := json.Unmarshal([]byte(out), &found); err != nil || code != 0 {
			t.Fatalf("keys get: code %d, %v\n%s%s", code, err, out, errs)
		}
		if found.Row.State != "confirmed" || found.Row.Holder.PID != second.cmd.Process.Pid {
			t.Errorf("%s is %+v, want it confirmed by the process that took over", key, found.Row)
		}
	}
	if n := first.status().Pipelines[0].Outcomes["delivered"]; n > 100 {
		t.Errorf("the one that was stopped says that it delivered %d", n)
	}
	b.nothingDead(t, second)
}

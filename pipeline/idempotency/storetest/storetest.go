// Package storetest is the conformance suite that every idempotency store
// passes, and a model to compare it with.
package storetest

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/memory"
)

// Model is an in-memory store with failure hooks, a double for tests of what
// uses a store.
type Model = memory.Store

// NewModel makes an empty model whose clock is now.
func NewModel(now func() time.Time) *Model { return memory.New(now) }

// Harness is a store under test, empty, with the levers that its tests pull.
type Harness struct {
	// Open returns the store. It is called at the start, and after each Restart.
	Open func(t testing.TB) Opened
	// Advance moves the store's clock forward.
	Advance func(d time.Duration)
	// Restart ends the process that uses the store, as a crash does; nil where
	// the test cannot. The suite opens the store again afterwards.
	Restart func(t testing.TB)
	// Owned says that the store's memory belongs to the process: what it finds
	// claimed when it opens is uncertain, and claims that are not durable are
	// gone.
	Owned bool
}

// Opened is the store as it is used between two restarts.
type Opened interface {
	idempotency.Store
	idempotency.Inspector
	idempotency.Lister
}

// Run runs the suite. Each test gets a harness of its own, whose store is empty
// and cleaned up by the function that made it.
func Run(t *testing.T, make func(t testing.TB) Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"claim":                       testClaim,
		"conflict":                    testConflict,
		"busy until the lease is out": testLease,
		"the clock goes back":         testClockBack,
		"take over":                   testTakeOver,
		"extend":                      testExtend,
		"what was met is told":        testMet,
		"confirm":                     testConfirm,
		"forgotten":                   testForgotten,
		"release":                     testRelease,
		"park":                        testPark,
		"repeated claim":              testRepeat,
		"remembering":                 testRemembering,
		"what a row keeps":            testRow,
		"batches":                     testBatches,
		"one key twice in a batch":    testTwiceInBatch,
		"inspector":                   testInspector,
		"list":                        testList,
		"list under load":             testListUnderLoad,
		"cancelled":                   testCancelled,
		"one go among many":           testOneGo,
		"busy until confirmed":        testNeverTwice,
		"two lanes":                   testTwoLanes,
		"two holders":                 testTwoHolders,
		"two sinks":                   testTwoSinks,
		"restart":                     testRestart,
	} {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
	t.Run("as the model", func(t *testing.T) { testAsModel(t, make) })
}

const (
	ttl   = 2 * time.Hour
	lease = 30 * time.Second
)

// holder makes the claims of one process.
type holder struct {
	run     *idempotency.Run
	durable bool
}

func newHolder(durable bool) holder { return holder{idempotency.NewRun(), durable} }

// claim asks for one key, with content of its own.
func (h holder) claim(key string) idempotency.Claim {
	return h.content(key, "content of "+key)
}

func (h holder) content(key, content string) idempotency.Claim {
	return idempotency.Claim{
		ID:      idempotency.Identity("pipeline", "sink", 1, key),
		Token:   h.run.Next(),
		Digest:  idempotency.DigestOf([]byte(content)),
		Holder:  idempotency.Holder{Host: "host", PID: 7, Run: h.run.ID()},
		Origin:  idempotency.Origin{Topic: "topic", Partition: 3, Offset: 42},
		TTL:     ttl,
		Lease:   lease,
		Durable: h.durable,
	}
}

// claims asks for n keys that no other call asks for.
func (h holder) claims(n int) []idempotency.Claim {
	claims := make([]idempotency.Claim, n)
	for i := range claims {
		claims[i] = h.claim("")
		binary.BigEndian.PutUint64(claims[i].ID[:], claims[i].Token.Seq)
		copy(claims[i].ID[8:], claims[i].Token.Run[:])
	}
	return claims
}

// again asks for the same effect anew, as a later record does.
func (h holder) again(c idempotency.Claim) idempotency.Claim {
	c.Token = h.run.Next()
	c.Holder.Run = h.run.ID()
	return c
}

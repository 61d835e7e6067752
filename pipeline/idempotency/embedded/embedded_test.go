package embedded

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/idempotency/storetest"
	"go.uber.org/goleak"
)

// clock is a store's clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) options(testing.TB) Options {
	return Options{Logger: slog.New(slog.DiscardHandler), Now: c.Now}
}

// crashing is a store on a disk in memory that forgets what was not synced.
type crashing struct {
	*clock
	fs    *vfs.MemFS
	store *Store
}

func newCrashing() *crashing { return &crashing{clock: newClock(), fs: vfs.NewCrashableMem()} }

func (c *crashing) open(t testing.TB) *Store {
	store, err := open("db", c.fs, c.options(t))
	if err != nil {
		t.Fatal(err)
	}
	c.store = store
	t.Cleanup(func() { store.Close() })
	return store
}

// crash loses the given part of what was written and not synced.
func (c *crashing) crash(t testing.TB, kept int) {
	left := c.crashed(kept)
	if err := c.store.Close(); err != nil {
		t.Fatal(err)
	}
	c.fs = left
}

// crashed is what the disk would hold after a crash now.
func (c *crashing) crashed(kept int) *vfs.MemFS {
	return c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(1, uint64(kept)))})
}

func TestStoreThatCrashes(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Harness {
		c := newCrashing()
		return storetest.Harness{
			Open:    func(t testing.TB) storetest.Opened { return c.open(t) },
			Advance: c.Advance,
			Restart: func(t testing.TB) { c.crash(t, 0) },
			Owned:   true,
		}
	})
}

func TestStoreOnDisk(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		c, dir := newClock(), t.TempDir()
		var store *Store
		return storetest.Harness{
			Open: func(t testing.TB) storetest.Opened {
				var err error
				if store, err = Open(dir, c.options(t)); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { store.Close() })
				return store
			},
			Advance: c.Advance,
			Restart: func(t testing.TB) {
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			},
			Owned: true,
		}
	})
}

// A store that is closed leaves no goroutine behind.
func TestCloseWaits(t *testing.T) {
	before := goleak.IgnoreCurrent()
	store, err := Open(t.TempDir(), newClock().options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Confirm(t.Context(), []idempotency.Claim{aClaim(idempotency.NewRun(), false)}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// aClaim makes a claim of a key that no other call asks for.
func aClaim(run *idempotency.Run, durable bool) idempotency.Claim {
	token := run.Next()
	return idempotency.Claim{
		ID:      idempotency.Identity("p", "s", 1, token.String()),
		Token:   token,
		Digest:  idempotency.DigestOf([]byte(token.String())),
		Holder:  idempotency.Holder{Host: "host", PID: 1, Run: run.ID()},
		Origin:  idempotency.Origin{Topic: "topic", Partition: 1, Offset: int64(token.Seq)},
		TTL:     2 * time.Hour,
		Lease:   30 * time.Second,
		Durable: durable,
	}
}

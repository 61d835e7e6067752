package storetest_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency/storetest"
)

// The model passes the suite itself, as a shared store and as one that its
// process owns.
func TestModel(t *testing.T) {
	for name, owned := range map[string]bool{"shared": false, "owned": true} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(testing.TB) storetest.Harness {
				clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				model := storetest.NewModel(func() time.Time { return clock })
				model.Owned = owned
				return storetest.Harness{
					Open:    func(testing.TB) storetest.Opened { return model },
					Advance: func(d time.Duration) { clock = clock.Add(d) },
					Restart: func(testing.TB) { model.Restart() },
					Owned:   owned,
				}
			})
		})
	}
}

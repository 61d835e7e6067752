package preview

import (
	"context"
	"time"

	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/keys"
)

// ledger is the key store as it would be if the records seen so far had been
// delivered: what the store holds, and on top of it what they would confirm.
type ledger struct {
	store keys.Reader // nil where nothing is looked up
	rows  map[idempotency.ID]*entry
	now   time.Time
	run   *idempotency.Run
}

// entry is one key's row, nil for none.
type entry struct {
	row *idempotency.Row
	// here tells that the row is of the sample, not of the store.
	here bool
}

func newLedger(store keys.Reader) *ledger {
	return &ledger{store: store, rows: map[idempotency.ID]*entry{}, now: time.Now(), run: idempotency.NewRun()}
}

// look fetches the rows of keys that are not known yet, in one look-up.
func (l *ledger) look(ctx context.Context, ids []idempotency.ID) error {
	var missing []idempotency.ID
	for _, id := range ids {
		if _, known := l.rows[id]; !known {
			l.rows[id] = &entry{}
			missing = append(missing, id)
		}
	}
	if l.store == nil || len(missing) == 0 {
		return nil
	}
	rows, now, err := l.store.Get(ctx, missing)
	if err != nil {
		for _, id := range missing {
			delete(l.rows, id)
		}
		return err
	}
	l.now = now
	for i, id := range missing {
		l.rows[id].row = rows[i]
	}
	return nil
}

// claim asks the state machine as a run asks the store, and takes it for done
// where the run would go on to write. It returns the row that it met.
func (l *ledger) claim(c *idempotency.Claim, park bool) (answer idempotency.Answer, met entry) {
	e := l.rows[c.ID]
	met = *e
	next, verdict := idempotency.ApplyClaim(e.row, c, l.now)
	switch {
	case verdict.Answer == idempotency.GoUncertain && park:
		e.row, _ = idempotency.ApplySettle(next, c, idempotency.ParkedAway, l.now)
		e.here = true
	case verdict.Answer == idempotency.Go || verdict.Answer == idempotency.GoUncertain:
		e.row, _ = idempotency.ApplyConfirm(next, c, l.now)
		e.here = true
	}
	return verdict.Answer, met
}

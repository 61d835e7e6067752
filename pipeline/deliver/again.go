package deliver

import (
	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Again is what a delivery does differently that does records once more, beside the
// pipeline's own. What it does itself is told by the run of its Holder.
type Again struct {
	// Admit chooses the records. The others are passed over, and no event tells of them.
	// It must be safe for concurrent use.
	Admit func(*handlers.Record) bool
	// Force, where set, is a further part of the identity of every effect: what was done
	// before is done again, once.
	Force string
	// Forgotten lets effects be made of records that are older than keys are remembered:
	// whether they were made before is not known.
	Forgotten bool
	// Met is told the row that a duplicate was found by. It must not block.
	Met func(*idempotency.Row)
}

// passes tells whether a record is none of those to be done again.
func (d *Delivery) passes(rec *handlers.Record) bool { return d.again != nil && !d.again.Admit(rec) }

// identityOf is the identity of an effect, given that of the pipeline's own.
func (d *Delivery) identityOf(id idempotency.ID) idempotency.ID {
	if d.again == nil || d.again.Force == "" {
		return id
	}
	return id.Within(d.again.Force)
}

// forgets tells whether the store may have forgotten that the effect of a new key was
// made: it is then for a person to say whether it is made again.
func (e *errand) forgets(j *job) bool {
	a := e.d.again
	return a != nil && !a.Forgotten && a.Force == "" && j.rec.Time.Add(e.d.guard.plan.TTL).Before(e.at)
}

// duplicate ends a job whose effect was found done. What the same job did before it was
// killed, it did.
func (e *errand) duplicate(j *job, reason string, row *idempotency.Row) {
	o := outcome.Duplicate
	if a := e.d.again; a != nil && row != nil {
		if row.Holder.Run == e.d.holder.Run && row.Origin == j.claim.Origin {
			o = outcome.Delivered
		} else {
			a.Met(row)
		}
	}
	e.end(j, o, reason, nil)
}

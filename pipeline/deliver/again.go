package deliver

import (
	"context"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/decide"
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
	// Redrive, where set, tells that the records are dead letters.
	Redrive *Redrive
}

// passes tells whether a record is none of those to be done again.
func (d *Delivery) passes(rec *handlers.Record) bool { return d.again != nil && !d.again.Admit(rec) }

// decideOne decides record i of the batch, and returns what the decision is about: that
// record, or the one that it is a dead letter of. There is none where nothing is to be
// done about it.
func (d *Delivery) decideOne(ctx context.Context, w *work, i int, decider *decide.Decider) (decide.Decision,
	*handlers.Record) {
	if d.resolver != nil {
		return d.redrive(ctx, w, i, decider)
	}
	rec := w.batch.Records[i]
	if err := w.batch.Unreadable[i]; err != nil {
		return decider.Unreadable(err), rec
	}
	return decider.Decide(rec), rec
}

// again makes a job's claim, which is one for the pipeline's own effect, the claim of
// what is done once more.
func (e *errand) again(j *job) {
	switch a := e.d.again; {
	case a == nil:
	case a.Force != "":
		j.claim.ID = j.claim.ID.Within(a.Force)
	case a.Redrive != nil:
		e.claimOfOld(j)
	}
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

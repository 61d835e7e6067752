package jobs

import (
	"maps"
	"sync"
	"time"

	"github.com/millrace/millrace/pipeline/api"
	"github.com/millrace/millrace/pipeline/events"
	"github.com/millrace/millrace/pipeline/idempotency"
	"github.com/millrace/millrace/pipeline/outcome"
)

// Progress counts how the records of a job ended. What it tells beside a commit covers
// the records before the committed offset and no other, so that a job that was killed
// counts each record once. It is an [events.Observer], and safe for concurrent use.
type Progress struct {
	job api.Job

	mu    sync.Mutex
	spans map[place]*spanProgress
	// expires is when the first key is forgotten that a duplicate was found by.
	expires time.Time
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

type spanProgress struct {
	api.Span
	// ahead is how the records ended that no commit has passed yet, by offset.
	ahead map[int64]string
}

// NewProgress begins where spans stand.
func NewProgress(job api.Job, spans []api.Span) *Progress {
	p := &Progress{job: job, spans: map[place]*spanProgress{}}
	for _, s := range spans {
		s.Counts = maps.Clone(s.Counts)
		if s.Counts == nil {
			s.Counts = map[string]int64{}
		}
		p.spans[place{s.Topic, s.Partition}] = &spanProgress{Span: s, ahead: map[int64]string{}}
	}
	return p
}

// Observe counts the outcomes of records.
func (p *Progress) Observe(e events.Event) {
	if e.Kind != events.Record {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.spans[place{e.Topic, e.Partition}]; s != nil && e.Offset >= s.Next {
		s.ahead[e.Offset] = word(e)
	}
}

// Ended counts a record that ended before its job was killed, and that no commit has
// passed.
func (p *Progress) Ended(topic string, partition int32, offset int64, word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.spans[place{topic, partition}]; s != nil && offset >= s.Next {
		s.ahead[offset] = word
	}
}

// word is what a job counts a record's outcome as.
func word(e events.Event) string {
	switch e.Reason {
	case outcome.ReasonForgotten, outcome.ReasonSourceGone, outcome.ReasonDiscarded:
		if e.Outcome == outcome.Dropped {
			return e.Reason
		}
	}
	return string(e.Outcome)
}

// Met notes the row that a duplicate was found by.
func (p *Progress) Met(row *idempotency.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if row != nil && !row.Expires.IsZero() && (p.expires.IsZero() || row.Expires.Before(p.expires)) {
		p.expires = row.Expires
	}
}

// Note is what stands beside the commit of an offset.
func (p *Progress) Note(topic string, partition int32, next int64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.spans[place{topic, partition}]
	if s == nil {
		return ""
	}
	for offset, ended := range s.ahead {
		if offset < next {
			s.Counts[ended]++
			delete(s.ahead, offset)
		}
	}
	s.Next = max(s.Next, next)
	return noteOf(p.job, s.From, s.Until, s.Counts)
}

// Totals are the counts of all that has ended so far, and Expires when the first key is
// forgotten that a duplicate was found by.
func (p *Progress) Totals() (counts map[string]int64, expires time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts = map[string]int64{}
	for _, s := range p.spans {
		for ended, n := range s.Counts {
			counts[ended] += n
		}
		for _, ended := range s.ahead {
			counts[ended]++
		}
	}
	return counts, p.expires
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// suspect is a partition of which something may not be readable, or where behind is
// set one that goes on behind what is not.
type suspect struct {
	p      *partition
	behind *unread
}

// suspectPartition is told of a partition of which a batch held fewer records than it
// says.
func (c *consumer) suspectPartition(key topicPartition) {
	if p := c.partition(key.topic, key.partition); p != nil {
		c.suspect(p)
	}
}

// suspect stops the reading of a partition until it has been looked at.
func (c *consumer) suspect(p *partition) {
	p.mu.Lock()
	ask := !p.examined && p.hungry == 0 && p.bad == nil && !p.stopping && p.placed && p.tracker.next >= 0
	if ask {
		p.examined = true
		p.gate()
	}
	p.mu.Unlock()
	if ask {
		c.suspects.push(suspect{p: p}, false)
	}
}

// deliver hands over what was fetched of a partition.
func (c *consumer) deliver(p *partition, records []*kgo.Record, short bool) {
	if short {
		c.suspect(p) // unless it was looked at already
	}
	if len(records) == 0 && !short {
		return
	}
	if reached := p.deliver(records, short); reached != nil {
		c.say(p, reached)
		c.suspects.push(suspect{p, reached}, false)
	}
}

// examineLoop looks at one partition after the other of which something may not be
// readable.
func (c *consumer) examineLoop(ctx context.Context) {
	for {
		s, ok := c.suspects.next(ctx)
		if !ok {
			return
		}
		// Until the partition is fetched from again, nothing of it is delivered:
		// what was polled before must have been dropped by then.
		c.polls.barrier()
		at := kgo.EpochOffset{Epoch: -1, Offset: s.p.lastDelivered()}
		var none *errNoMemory
		if s.behind == nil {
			at, none = c.examine(ctx, s.p, at)
		}
		if none == nil {
			c.moveTo(s.p, at)
		}
		s.p.mu.Lock()
		s.p.examined = false
		if !s.p.stopping && none == nil {
			s.p.gate()
		}
		s.p.mu.Unlock()
		if none != nil {
			c.starve(s.p, none) // what can't be read is found piece by piece
		}
	}
}

// examineAgain is how long after a look that found nothing a partition is fetched
// from again.
const examineAgain = time.Second

// examine looks for what can't be read behind at, and returns where to go on: behind
// it, where nothing lies between. Where there is no memory for a look, it says so.
func (c *consumer) examine(ctx context.Context, p *partition, at kgo.EpochOffset) (kgo.EpochOffset, *errNoMemory) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	look := lookout{c.client, c.cluster, c.intake}
	bad, err := look.find(ctx, p.topic, p.number, p.topicID, at.Offset)
	if none, ok := errors.AsType[*errNoMemory](err); ok {
		return at, none
	}
	switch {
	case err != nil || bad == nil:
		if err != nil {
			p.failed(err)
		}
		_ = rest(ctx, examineAgain)
		return at, nil
	case bad.behind:
		p.mu.Lock()
		p.bad = bad
		p.mu.Unlock()
		return at, nil
	}
	c.say(p, bad)
	p.accept([]slot{bad.slot(p.topic, p.number)})
	return kgo.EpochOffset{Epoch: bad.epoch, Offset: bad.next}, nil
}

func (c *consumer) say(p *partition, bad *unread) {
	logged(c.logger, p.topic, p.number).Warn("records that can't be read are passed over", "err", bad.err)
}

// fault is why nothing can be fetched of a partition.
type fault struct {
	err         error
	first, last time.Time
	// told tells that an alarm was raised.
	told bool
}

const (
	// unfetched is the kind of the alarm that says so.
	unfetched = "unfetched"
	// faultPatience is how long that may last before the alarm is raised, and how
	// long nothing may have failed before it is over.
	faultPatience = 10 * time.Second
)

// failed notes that nothing could be fetched.
func (p *partition) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.fault.err == nil {
		p.fault.first = now
	}
	p.fault.err, p.fault.last = err, now
}

// judgeFaults raises an alarm of partitions of which nothing could be fetched for
// some time, and ends it where something can.
func (c *consumer) judgeFaults() {
	for _, p := range c.assigned() {
		alarm := Alarm{Topic: p.topic, Partition: p.number, Kind: unfetched}
		p.mu.Lock()
		f := &p.fault
		if f.err != nil && p.hungry == 0 && !p.examined && time.Since(f.last) > faultPatience {
			f.err = nil
		}
		raise := f.err != nil && !f.told && time.Since(f.first) > faultPatience && !p.stopping
		clear := f.err == nil && f.told
		if raise {
			alarm.Message = fmt.Sprintf("its records can't be fetched, and will be again: %v", f.err)
		}
		if raise || clear {
			f.told = raise
		}
		p.mu.Unlock()
		switch {
		case raise:
			c.raise(alarm)
		case clear:
			alarm.Cleared = true
			c.tell(alarm)
		}
	}
}

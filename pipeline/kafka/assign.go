package kafka

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lastWords is how long a partition that is being given up waits, after its
// effects must have ended, for their handlers to say how they ended.
const lastWords = 500 * time.Millisecond

// leaveWithin is how long after the drain time a stop may last at most.
const leaveWithin = 2 * time.Second

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// onAssigned makes a fresh partition, with a fresh tracker, for each that came.
// They deliver nothing until onPlace has said where they begin.
func (c *consumer) onAssigned(_ context.Context, client *kgo.Client, added map[string][]int32) {
	c.polls.barrier()
	c.giveUp(c.among(added), false)
	member, generation := client.GroupMetadata()
	c.mu.Lock()
	for topic, numbers := range added {
		for _, number := range numbers {
			p := newPartition(c.base, topic, number, c.source)
			p.member, p.out, p.fetch, p.seed, p.held = member, c.out, fetches{client, c.intake}, c.seed, c.held
			p.share, p.fair = c.share, c.fair
			c.parts[topicPartition{topic, number}] = p
		}
	}
	c.shared.Store(int32(len(c.parts)))
	c.mu.Unlock()
	c.joined.Store(true)
	if len(added) > 0 {
		c.logger.Info("partitions assigned", "partitions", added, "generation", generation)
	}
}

// onRevoked gives partitions up in order: nothing new is handed out, batches in
// flight end, what is finished is committed. The client calls it before anyone
// else can own them.
func (c *consumer) onRevoked(_ context.Context, client *kgo.Client, revoked map[string][]int32) {
	parts := c.among(revoked)
	if len(parts) == 0 {
		return
	}
	member, _ := client.GroupMetadata()
	var ours, lost []*partition
	for _, p := range parts {
		// A member id that changed meanwhile means that the group threw this
		// member out: the partition may long be another's.
		if p.member == member {
			ours = append(ours, p)
		} else {
			lost = append(lost, p)
		}
	}
	c.logger.Info("partitions revoked", "partitions", revoked)
	c.giveUp(ours, true)
	c.giveUp(lost, false)
}

// onLost gives partitions up that the group took away: nothing is committed.
func (c *consumer) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	c.joined.Store(false) // until the next assignment
	parts := c.among(lost)
	if len(parts) == 0 {
		return
	}
	c.logger.Warn("partitions lost", "partitions", lost)
	c.giveUp(parts, false)
}

// onFetched keeps the group's commits with their notes for onPlace, which the
// client calls next.
func (c *consumer) onFetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched = resp
	return nil
}

func (c *consumer) among(named map[string][]int32) []*partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []*partition
	for topic, numbers := range named {
		for _, number := range numbers {
			if p := c.parts[topicPartition{topic, number}]; p != nil {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// giveUp ends assignments: stop dispatch, let the lanes catch up, end the
// messages' contexts, wait for batches in flight, in all as long as Drain says,
// commit where that is still ours, and forget the partitions. A partition that
// another goroutine is giving up is waited for.
func (c *consumer) giveUp(parts []*partition, commit bool) {
	if len(parts) == 0 {
		return
	}
	by := time.Now().Add(c.source.Drain)
	var mine, others []*partition
	for _, p := range parts {
		if p.stop(by) {
			mine = append(mine, p)
		} else {
			others = append(others, p)
		}
	}
	c.drain(mine, commit)
	if commit && len(mine) > 0 {
		ctx, cancel := context.WithDeadline(c.base, earlier(time.Now().Add(commitTimeout), by.Add(leaveWithin)))
		c.commitLast(ctx, mine)
		cancel()
	}
	again := 0
	for _, p := range mine {
		again += p.uncommitted()
	}
	if again > 0 {
		c.logger.Warn("records were finished and could not be committed: they come again", "records", again)
	}
	for _, p := range mine {
		c.forget(p)
	}
	for _, p := range others {
		<-p.given
	}
}

// drain waits for the batches in flight of all parts at once. The last quarter of
// the time is for what was begun before. There is nothing to catch up with where
// nothing is committed.
func (c *consumer) drain(parts []*partition, commit bool) {
	catchUp, deadline := make(chan struct{}), make(chan struct{})
	soon := time.AfterFunc(c.source.Drain*3/4, func() { close(catchUp) })
	defer soon.Stop()
	late := time.AfterFunc(c.source.Drain+lastWords, func() { close(deadline) })
	defer late.Stop()
	var drains sync.WaitGroup
	for _, p := range parts {
		if !commit {
			p.cut()
		}
		drains.Go(func() { p.drain(catchUp, deadline) })
	}
	drains.Wait()
}

// forget takes a partition out for good; from here on no commit of it passes.
func (c *consumer) forget(p *partition) {
	c.mu.Lock()
	key := topicPartition{p.topic, p.number}
	if c.parts[key] == p {
		delete(c.parts, key)
	}
	c.shared.Store(int32(len(c.parts)))
	c.mu.Unlock()
	p.mu.Lock()
	p.share.Give(p.tracker.drop())
	alarm := p.alarm
	if alarm.Kind == "" && p.fault.told {
		alarm = Alarm{Topic: p.topic, Partition: p.number, Kind: unfetched}
	}
	if p.paused {
		// Pauses outlive an assignment in the client.
		p.paused = false
		p.fetch.pause(key, false)
	}
	p.mu.Unlock()
	if alarm.Kind != "" {
		alarm.Cleared = true
		c.tell(alarm)
	}
	close(p.given)
}

// polls lets a callback of the client wait until the poll loop has dispatched
// what an earlier poll returned. Without that, records of an old assignment
// could be delivered into a new one of the same partition, and the records
// before them would be taken for delivered.
type polls struct {
	mu     *sync.Mutex
	moved  *sync.Cond
	round  uint64
	cancel context.CancelFunc
	ended  bool
}

func newPolls() polls {
	mu := &sync.Mutex{}
	return polls{mu: mu, moved: sync.NewCond(mu)}
}

// begin starts a poll; the one before it has been dispatched.
func (p *polls) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	p.cancel = cancel
	p.moved.Broadcast()
	return ctx, cancel
}

// end tells that there will be no further poll.
func (p *polls) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.moved.Broadcast()
}

// barrier cuts the current poll short and waits until it has been dispatched.
func (p *polls) barrier() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.round == 0 {
		return
	}
	round := p.round
	p.cancel()
	for p.round == round && !p.ended {
		p.moved.Wait()
	}
}

// hold stops the lanes from starting batches, or lets them go on.
func (p *partition) hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return
	}
	p.held = held
	p.gate()
	p.start()
}

// stop makes the partition take no more records: by is when effects must have
// ended. The lanes still deliver what lies before the foremost record that must
// not come again; other batches end at once. It tells whether
// this call was the first.
func (p *partition) stop(by time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return false
	}
	p.stopping, p.by = true, by
	p.ending.Store(true)
	p.advance()
	p.reach = p.tracker.reach()
	p.review()
	return true
}

// giveUpOn marks a record as one that will not be finished, unless a person acts.
func (p *partition) giveUpOn(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, there := slices.BinarySearchFunc(p.stuck, s, byOffset); !there {
		p.stuck = slices.Insert(p.stuck, at, s)
	}
	if p.stopping {
		p.review()
	}
}

// review ends the batches of which nothing is wanted any more, and sets lanes
// going that have something to catch up with.
func (p *partition) review() {
	for _, l := range p.lanes {
		for _, f := range l.flights {
			if !f.wanted(p.goal()) {
				f.cancel(&Ending{p.by})
			}
		}
	}
	p.start()
}

// cut ends the context of what is in flight; nothing more is handed out.
func (p *partition) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutOff = true
	p.cancel(&Ending{p.by})
}

// drain waits until no batch is in flight, while the lanes catch up with each
// other. After catchUp contexts end, and after the deadline the batches are left
// to themselves.
func (p *partition) drain(catchUp, deadline <-chan struct{}) {
	idle := make(chan struct{})
	go func() {
		p.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-catchUp:
	}
	p.cut()
	select {
	case <-idle:
	case <-deadline:
	}
	close(p.gone)
	<-idle
}

// commitLast commits how far parts came before they are given up, until every one
// of them is committed, trying again can't help, or ctx ends: a group that is just
// sharing its partitions out anew refuses commits for a moment.
func (c *consumer) commitLast(ctx context.Context, parts []*partition) {
	for {
		c.commit(ctx, parts)
		member, _ := c.client.GroupMetadata()
		parts = slices.DeleteFunc(slices.Clone(parts), func(p *partition) bool {
			_, left := p.progress()
			return !left || p.member != member
		})
		if len(parts) == 0 || rest(ctx, commitAgain) != nil {
			return
		}
	}
}

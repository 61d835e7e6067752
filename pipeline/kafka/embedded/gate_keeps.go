package embedded

import (
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/memory"
)

// keeps bounds what kfake keeps because clients name it: groups, members and
// transactional ids, which it forgets late or never. It is used with the gate's mu
// held.
type keeps struct {
	groups map[string]struct{}
	txns   map[string]struct{}
	// joins is what large joins may take in all, each for as long as its session.
	joins *memory.Account
}

const (
	// mostGroups are the groups that there may be, with at most mostMembers each.
	mostGroups  = 2000
	mostMembers = 200
	// mostTxns are the transactional ids that there may be.
	mostTxns = 1000
	// mostName is how long the name of a group or a transactional id may be.
	mostName = 255
	// freeJoin is what each join has free, and joinMemory what all others have.
	freeJoin   = 2 << 10
	joinMemory = 32 << 20
)

func newKeeps(f found) keeps {
	return keeps{groups: f.groups, txns: f.txns, joins: memory.NewAccount(joinMemory)}
}

// admitGroup tells whether a group may be: it is there, or there is room for it.
func (g *gate) admitGroup(name string) bool {
	if len(name) > mostName {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.keeps.groups[name]; ok {
		return true
	}
	if len(g.keeps.groups) >= mostGroups {
		return false
	}
	g.keeps.groups[name] = struct{}{}
	return true
}

// forgetGroups takes out the groups that kfake has no more, as exists says, where
// there are so many that some may be refused.
func (g *gate) forgetGroups(exists func(group string) bool) {
	g.mu.Lock()
	var names []string
	if len(g.keeps.groups) >= mostGroups/2 {
		for name := range g.keeps.groups {
			names = append(names, name)
		}
	}
	g.mu.Unlock()
	for _, name := range names {
		if !exists(name) {
			g.mu.Lock()
			delete(g.keeps.groups, name)
			g.mu.Unlock()
		}
	}
}

func (g *gate) admitTxn(id string) bool {
	if len(id) > mostName {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.keeps.txns[id]; !ok && len(g.keeps.txns) >= mostTxns {
		return false
	}
	g.keeps.txns[id] = struct{}{}
	return true
}

// admitJoin takes what a join costs for as long as its session: kfake keeps the join
// of a member that never comes back until then.
func (g *gate) admitJoin(bytes int64, session time.Duration) bool {
	if bytes <= freeJoin {
		return true
	}
	give, ok := g.keeps.joins.TryTake(bytes)
	if ok {
		time.AfterFunc(min(max(session, time.Second), 5*time.Minute), give)
	}
	return ok
}

// inspectJoin answers joins that kfake can't take.
func (g *gate) inspectJoin(req *request, r *kmsg.JoinGroupRequest) kmsg.Response {
	answer := r.ResponseKind().(*kmsg.JoinGroupResponse)
	answer.MemberID, answer.Generation = r.MemberID, -1
	switch {
	case len(r.Protocols) == 0 || repeated(r.Protocols, func(p kmsg.JoinGroupRequestProtocol) string { return p.Name }):
		answer.ErrorCode = kerr.InconsistentGroupProtocol.Code
	case !g.admitGroup(r.Group):
		answer.ErrorCode = kerr.PolicyViolation.Code
	case !g.admitJoin(int64(len(req.raw)), time.Duration(r.SessionTimeoutMillis)*time.Millisecond):
		answer.ErrorCode = kerr.CoordinatorNotAvailable.Code
	default:
		return nil
	}
	return answer
}

// inspectCommit refuses a commit of a group that is one too many.
func (g *gate) inspectCommit(r *kmsg.OffsetCommitRequest) kmsg.Response {
	if g.admitGroup(r.Group) {
		return nil
	}
	answer := r.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, topic := range r.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, kerr.PolicyViolation.Code
			t.Partitions = append(t.Partitions, p)
		}
		answer.Topics = append(answer.Topics, t)
	}
	return answer
}

// inspectInit answers who wants an id to write each record once: kfake would keep
// every one that it gave out, and takes those that it did not.
func (g *gate) inspectInit(r *kmsg.InitProducerIDRequest) kmsg.Response {
	answer := r.ResponseKind().(*kmsg.InitProducerIDResponse)
	switch {
	case r.TransactionalID == nil:
		answer.ProducerID, answer.ProducerEpoch = rand.Int64(), 0
	case !g.admitTxn(*r.TransactionalID):
		answer.ProducerID, answer.ErrorCode = -1, kerr.PolicyViolation.Code
	default:
		return nil
	}
	return answer
}

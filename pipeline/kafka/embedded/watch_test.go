package embedded

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is a raw member of the group `g`.
type member struct {
	t          *testing.T
	client     rawClient
	session    time.Duration
	id, leader string
	generation int32
}

// session is the shortest that there may be.
const session = 6 * time.Second

// request is a JoinGroup; the id is asked for first.
func (m *member) joinRequest() *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version, r.Group, r.MemberID, r.ProtocolType = 5, "g", m.id, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = int32(m.session.Milliseconds()), 60_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	r.Protocols = append(r.Protocols, p)
	return r
}

// join returns once the group has this member.
func (m *member) join() {
	for {
		answer, err := m.client.ask(m.joinRequest())
		if err != nil {
			m.t.Error(err)
			return
		}
		r := answer.(*kmsg.JoinGroupResponse)
		m.id = r.MemberID
		if err := kerr.ErrorForCode(r.ErrorCode); err == nil {
			m.leader, m.generation = r.LeaderID, r.Generation
			return
		} else if !errors.Is(err, kerr.MemberIDRequired) {
			m.t.Error(err)
			return
		}
	}
}

// sync tells how long the member's SyncGroup took, and what became of it.
func (m *member) sync() (time.Duration, error) {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Version, r.Group, r.MemberID, r.Generation = 3, "g", m.id, m.generation
	began := time.Now()
	answer, err := m.client.ask(r)
	if err != nil {
		return time.Since(began), err
	}
	return time.Since(began), kerr.ErrorForCode(answer.(*kmsg.SyncGroupResponse).ErrorCode)
}

// pair are two members of one generation, the leader first.
func pair(t *testing.T, addr string, session time.Duration) (leader, other *member) {
	t.Helper()
	one := &member{t: t, client: rawClient{addr: addr, patience: time.Minute}, session: session}
	two := &member{t: t, client: rawClient{addr: addr, patience: time.Minute}, session: session}
	t.Cleanup(one.client.close)
	t.Cleanup(two.client.close)
	one.join()
	done := make(chan struct{})
	go func() { defer close(done); two.join() }()
	for both := false; !both; {
		one.join() // at once, until the second one wants in
		select {
		case <-done:
			both = one.generation == two.generation
		case <-time.After(10 * time.Millisecond):
		}
	}
	if one.leader == two.id {
		return two, one
	}
	return one, two
}

// A leader dies between its join and its sync: the others hear of it when its session
// is over, although theirs began with its own.
func TestALeaderThatDiesBeforeItsSync(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	leader, other := pair(t, b.Addr(), session)
	leader.client.close()
	took, err := other.sync()
	if !errors.Is(err, kerr.RebalanceInProgress) || took > 4*session {
		t.Errorf("the other's sync: %v after %s", err, took)
	}
}

// A member that waits in its join for longer than its session is kept, and one whose
// connection closes meanwhile is not waited for.
func TestMembersThatWaitInTheirJoin(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	leader, other := pair(t, b.Addr(), session)
	if err := func() error { // the leader assigns nothing
		go func() { _, _ = other.sync() }()
		_, err := leader.sync()
		return err
	}(); err != nil {
		t.Fatal(err)
	}
	// The leader joins anew and waits for the other, which only sends heartbeats.
	joined := make(chan error, 1)
	began := time.Now()
	go func() {
		answer, err := leader.client.ask(leader.joinRequest())
		if err == nil {
			err = kerr.ErrorForCode(answer.(*kmsg.JoinGroupResponse).ErrorCode)
		}
		joined <- err
	}()
	beats := rawClient{addr: b.Addr()}
	defer beats.close()
	for time.Since(began) < session+2*time.Second {
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.Generation = 3, "g", other.id, other.generation
		if _, err := beats.ask(beat); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-joined:
			t.Fatalf("the leader's join was answered early: %v", err)
		case <-time.After(time.Second):
		}
	}
	other.join()
	if err := <-joined; err != nil {
		t.Errorf("the leader's join: %v after %s", err, time.Since(began))
	}
}

// A member whose connection closes while it waits leaves.
func TestAMemberThatGoesWhileItWaits(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	leader, other := pair(t, b.Addr(), time.Minute)
	// The leader joins anew, waits, and is gone; the other joins, and is alone.
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	again := leader.joinRequest()
	again.Protocols[0].Metadata = []byte("other")
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, again, 1)); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); b.cluster.GroupInfo("g").State != "PreparingRebalance"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the group does not prepare a rebalance")
		}
	}
	_ = conn.Close()
	for began := time.Now(); ; {
		other.join()
		if _, err := other.sync(); err == nil {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the group waits for the member that is gone")
		}
	}
	if info := b.cluster.GroupInfo("g"); len(info.Members) != 1 {
		t.Errorf("members %v", info.Members)
	}
}

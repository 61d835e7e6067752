package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watch asks the broker now and then as a client would: whether it answers, and on
// behalf of the members of groups who wait.
type watch struct {
	gate    *gate
	cluster *kfake.Cluster
	addr    string
	alarm   func(Alarm)
	client  rawClient
	deaf    bool

	quit chan struct{}
	done chan struct{}
}

// waiting is a member of a group whose JoinGroup or SyncGroup is not answered yet.
type waiting struct {
	group, member string
	instance      *string
	// generation is -1 where the request does not say.
	generation int32
}

const (
	// aliveEvery is far below the shortest session timeout, 6 s.
	aliveEvery = 2 * time.Second
	// probeTime is how long an answer of the broker's may take.
	probeTime = 5 * time.Second
)

func startWatch(g *gate, cluster *kfake.Cluster, addr string, probeEvery time.Duration, alarm func(Alarm)) *watch {
	w := &watch{
		gate: g, cluster: cluster, addr: addr, alarm: alarm, client: rawClient{addr: addr, dial: g.dial},
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go func() {
		defer close(w.done)
		defer w.client.close()
		probe, alive := time.NewTicker(probeEvery), time.NewTicker(aliveEvery)
		defer probe.Stop()
		defer alive.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-probe.C:
				w.probe()
			case <-alive.C:
				w.keepAlive()
			case <-g.wake:
				w.keepAlive()
			}
		}
	}()
	return w
}

func (w *watch) stop() {
	close(w.quit)
	<-w.done
}

// probe tells where the broker takes no connections any more, or answers none.
func (w *watch) probe() {
	client := rawClient{addr: w.addr, dial: w.client.dial}
	defer client.close()
	_, err := client.ask(kmsg.NewPtrApiVersionsRequest())
	switch {
	case err != nil && !w.deaf:
		w.deaf = true
		w.alarm(Alarm{Kind: AlarmUnreachable, Message: fmt.Sprintf("the embedded broker does not answer on %s: %v",
			w.addr, err)})
	case err == nil && w.deaf:
		w.deaf = false
		w.alarm(Alarm{Kind: AlarmUnreachable, Cleared: true})
	}
}

// keepAlive does for members that wait what Apache Kafka does: they stay for as long
// as they are connected. kfake would take them out when their session is over, and
// never answer them; and it would wait for those who went away meanwhile.
func (w *watch) keepAlive() {
	w.gate.forgetGroups(func(group string) bool { return w.cluster.GroupInfo(group) != nil })
	wait, left := w.gate.members()
	for _, m := range wait {
		if m.generation < 0 {
			group := w.cluster.GroupInfo(m.group)
			if group == nil {
				continue
			}
			m.generation = group.Epoch
		}
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version = 3
		beat.Group, beat.MemberID, beat.InstanceID, beat.Generation = m.group, m.member, m.instance, m.generation
		if _, err := w.client.ask(beat); err != nil {
			return
		}
	}
	for _, m := range left {
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Version = 3
		leave.Group = m.group
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.member
		leave.Members = append(leave.Members, member)
		if _, err := w.client.ask(leave); err != nil {
			return
		}
	}
}

// members returns who waits for a group, and who waited and is gone.
func (g *gate) members() (wait, left []waiting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.mu.Lock()
		if c.asked != nil && c.asked.wait.member != "" {
			wait = append(wait, c.asked.wait)
		}
		c.mu.Unlock()
	}
	// Who came back on another connection and waits there is not gone.
	left = slices.DeleteFunc(g.left, func(m waiting) bool {
		return slices.ContainsFunc(wait, func(w waiting) bool { return w.group == m.group && w.member == m.member })
	})
	g.left = nil
	return wait, left
}

// rawClient sends one request at a time.
type rawClient struct {
	addr string
	// dial connects to it; nil dials as a stranger.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// patience is how long an answer may take; 0 means probeTime.
	patience time.Duration
	conn     net.Conn
	corr     int32
}

// ask sends a request and returns the answer. After an error it connects anew.
func (c *rawClient) ask(r kmsg.Request) (kmsg.Response, error) {
	answer, err := c.try(r)
	if err != nil {
		c.close()
	}
	return answer, err
}

func (c *rawClient) try(r kmsg.Request) (_ kmsg.Response, err error) {
	deadline := time.Now().Add(cmp.Or(c.patience, probeTime))
	if c.conn == nil {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		dial := c.dial
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		if c.conn, err = dial(ctx, "tcp", c.addr); err != nil {
			return nil, err
		}
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c.corr++
	if _, err := c.conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("millrace-embedded")).AppendRequest(nil,
		r, c.corr)); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(c.conn, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size < 4 || size > maxFrame {
		return nil, errors.New("an answer of a strange length")
	}
	frame := make([]byte, 4+size)
	if _, err := io.ReadFull(c.conn, frame[4:]); err != nil {
		return nil, err
	}
	answer := r.ResponseKind()
	if !decodeAnswer(answer, r.GetVersion(), frame) {
		return nil, errors.New("an answer that can't be read")
	}
	return answer, nil
}

func (c *rawClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

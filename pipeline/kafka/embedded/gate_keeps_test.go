package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/pipeline/testbed/hostile"
)

// There are so many groups and no more; those that are there go on, also after a
// restart, and one that is deleted makes room.
func TestGroupsAreBounded(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Config{Dir: dir})
	create(t, b, map[string]int32{"orders": 1})
	c := client(t, b.Addr())
	produce(t, c, "orders", "x")
	commitOffset(t, c, "kept", "orders", 1)
	for i := range mostGroups - 1 {
		if !b.gate.admitGroup(fmt.Sprintf("g-%d", i)) {
			t.Fatalf("group %d is refused", i)
		}
	}
	commit := func(c *kgo.Client, group string) error {
		var offsets kadm.Offsets
		offsets.AddOffset("orders", 0, 1, -1)
		answers, err := kadm.NewClient(c).CommitOffsets(t.Context(), group, offsets)
		return errors.Join(err, answers.Error())
	}
	if err := commit(c, "more"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("one more: %v", err)
	}
	m := &member{t: t, client: rawClient{addr: b.Addr()}, session: session}
	defer m.client.close()
	answer, err := m.client.ask(m.joinRequest())
	if err != nil || kerr.ErrorForCode(answer.(*kmsg.JoinGroupResponse).ErrorCode) != kerr.PolicyViolation {
		t.Errorf("a join of one more: %v, %v", answer, err)
	}
	if err := commit(c, "kept"); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	// None of the others is in the broker.
	b.gate.forgetGroups(func(group string) bool { return b.cluster.GroupInfo(group) != nil })
	if err := commit(c, "more"); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	c.Close()
	stop(t, b)
	again := start(t, Config{Dir: dir})
	var names []string
	for name := range again.gate.keeps.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"kept", "more"}) {
		t.Errorf("after a restart: %v", names)
	}
}

// What members say when they join is kept until their session is over, and in all no
// more than there is room for; small ones are let in all the same.
func TestJoinsAreBounded(t *testing.T) {
	b := start(t, Config{})
	const size = 500 << 10
	for i := range joinMemory/size + 1 {
		if ok := b.gate.admitJoin(size, time.Minute); ok != (i < joinMemory/size) {
			t.Errorf("large join %d: %v", i, ok)
		}
	}
	m := &member{t: t, client: rawClient{addr: b.Addr()}, session: session}
	defer m.client.close()
	large := m.joinRequest()
	large.Protocols[0].Metadata = []byte(strings.Repeat("x", size))
	answer, err := m.client.ask(large)
	if err != nil || kerr.ErrorForCode(answer.(*kmsg.JoinGroupResponse).ErrorCode) != kerr.CoordinatorNotAvailable {
		t.Errorf("a large join: %v, %v", answer, err)
	}
	m.join()
	if m.generation != 1 {
		t.Errorf("a small join: generation %d", m.generation)
	}
}

// Ids of producers cost nothing until they write, and transactional ids are bounded.
func TestProducersAreBounded(t *testing.T) {
	b := start(t, Config{})
	create(t, b, map[string]int32{"orders": 1})
	for i := range mostTxns {
		if !b.gate.admitTxn(fmt.Sprintf("t-%d", i)) {
			t.Fatalf("transactional id %d is refused", i)
		}
	}
	raw := rawClient{addr: b.Addr()}
	defer raw.close()
	ask := func(txn *string) (int64, error) {
		t.Helper()
		request := kmsg.NewPtrInitProducerIDRequest()
		request.Version, request.ProducerID, request.ProducerEpoch = 4, -1, -1
		request.TransactionalID, request.TransactionTimeoutMillis = txn, 1000
		answer, err := raw.ask(request)
		if err != nil {
			t.Fatal(err)
		}
		r := answer.(*kmsg.InitProducerIDResponse)
		return r.ProducerID, kerr.ErrorForCode(r.ErrorCode)
	}
	if _, err := ask(kmsg.StringPtr("more")); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("one more: %v", err)
	}
	if _, err := ask(kmsg.StringPtr("t-1")); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	ids := map[int64]bool{}
	for range 100 {
		id, err := ask(nil)
		if err != nil || ids[id] || id < 0 {
			t.Fatalf("id %d, %v", id, err)
		}
		ids[id] = true
	}
	// Each record of such a producer is written once.
	c := client(t, b.Addr())
	batch := hostile.BatchOf(1, 0)
	for batch.Producer = range ids {
		break
	}
	batch.Epoch, batch.Sequence = 0, 0
	for range 2 {
		if answer := produceBatch(t, c, "orders", batch.Encode()); answer.ErrorCode != 0 || answer.BaseOffset != 0 {
			t.Errorf("answered %v, offset %d", kerr.ErrorForCode(answer.ErrorCode), answer.BaseOffset)
		}
	}
	batch.Sequence = 5
	if answer := produceBatch(t, c, "orders", batch.Encode()); !errors.Is(kerr.ErrorForCode(answer.ErrorCode), kerr.OutOfOrderSequenceNumber) {
		t.Errorf("a gap: %v", kerr.ErrorForCode(answer.ErrorCode))
	}
}

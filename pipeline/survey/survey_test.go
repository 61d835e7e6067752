package survey_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/survey"
)

// world is a cluster in this process for a configuration to be compared with.
type world struct {
	t       *testing.T
	brokers []string
	admin   *kadm.Client
}

func newWorld(t *testing.T, opts ...kfake.Opt) *world {
	t.Helper()
	// A real cluster has this topic once a group was used.
	opts = append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(1, "__consumer_offsets")}, opts...)
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &world{t: t, brokers: c.ListenAddrs(), admin: adminOf(t, c)}
}

func adminOf(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// topic makes a topic with settings as key, value.
func (w *world) topic(name string, partitions int32, replication int16, settings ...string) {
	w.t.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	if _, err := w.admin.CreateTopic(w.t.Context(), partitions, replication, configs, name); err != nil {
		w.t.Fatal(err)
	}
}

// commit makes a group commit an offset.
func (w *world) commit(group, topic string, partition int32, at int64, metadata string) {
	w.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: -1, Metadata: metadata})
	if _, err := w.admin.CommitOffsets(w.t.Context(), group, offsets); err != nil {
		w.t.Fatal(err)
	}
}

// connect loads a configuration, which must be right by itself, and returns what
// is wrong with the world, a line each: path, severity unless it is an error,
// code and message.
func connect(t *testing.T, yaml, stateDir string, options survey.Options) (problems, seen []string) {
	t.Helper()
	results, found := compile.Validate([]string{"-"}, config.Options{Stdin: strings.NewReader(yaml)}, builtin.Registry())
	if len(results) != 1 {
		t.Fatalf("the configuration is wrong by itself:\n%v\n%s", found, yaml)
	}
	options.StateDir, options.Stdout, options.Logger = stateDir, io.Discard, slog.New(slog.DiscardHandler)
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second
	}
	got := survey.Connect(context.WithoutCancel(t.Context()), results[0], options)
	for _, p := range got.Problems {
		severity := ""
		if p.Severity != "error" {
			severity = string(p.Severity) + " "
		}
		if p.Place.Line == 0 && p.Place.File == "" {
			t.Errorf("%s has no place", p.Message)
		}
		problems = append(problems, fmt.Sprintf("%s: %s%s %s", p.Path, severity, p.Code, p.Message))
	}
	return problems, got.Seen
}

// blocks are the head of a configuration on the cluster, with a store that keeps
// nothing beside it.
func (w *world) blocks() string {
	return fmt.Sprintf("kafka: {brokers: [%q]}\n", strings.Join(w.brokers, ","))
}

const copies = "pipelines:\n  copy:\n    source: {topic: orders}\n    sinks: [{kafka: {topic: copies}}]\n"

func TestConnectTopics(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*world)
		yaml string
		want []string
	}{
		"all is well": {func(w *world) {
			w.topic("orders", 6, 3)
			w.topic("copy.dead-letter", 6, 3)
			w.topic("copies", 6, 3, "min.insync.replicas", "2")
		}, copies + "topics: {orders: {partitions: 6, replication: 3}}\n", nil},
		"nothing is there": {func(w *world) { w.topic("order", 6, 3) }, copies, []string{
			`pipelines.copy.dead_letter.topic: MR101 the dead-letter topic "copy.dead-letter" does not exist on the cluster`,
			`pipelines.copy.source.topic: MR101 the source topic "orders" does not exist on the cluster`,
			"pipelines.copy.sinks[0].kafka.topic: MR113 the sink \"kafka\" is not ready: the topic \"copies\" does not exist on the cluster: make it with `millrace topics apply`, or `run --create-topics`",
		}},
		"a sink that makes its topic": {func(w *world) { w.topic("orders", 1, 3) },
			"pipelines: {p: {source: {topic: orders}, dead_letter: off, sinks: [{kafka: {topic: copies, missing_topic: create}}]}}\n", nil},
		"a topic that is only declared": {func(w *world) { w.topic("orders", 1, 3) },
			"topics: {other: {partitions: 3}}\npipelines: {p: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}]}}\n",
			[]string{`topics.other: warning MR101 the topic "other" does not exist on the cluster`}},
		"fewer, and other settings": {func(w *world) { w.topic("orders", 2, 1, "retention.ms", "86400000") },
			"topics: {orders: {partitions: 6, replication: 3, retention: 7d, cleanup: compact}}\npipelines: {p: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}]}}\n",
			[]string{
				`topics.orders.partitions: warning MR102 the topic "orders" has partitions 2 on the cluster, and the file says 6`,
				`topics.orders.replication: warning MR102 the topic "orders" has replication 1 on the cluster, and the file says 3`,
				`topics.orders.retention: warning MR102 the topic "orders" has retention 1d on the cluster, and the file says 7d`,
				`topics.orders.cleanup: warning MR102 the topic "orders" has cleanup delete on the cluster, and the file says compact`,
			}},
		"more is fine": {func(w *world) { w.topic("orders", 12, 3) },
			"topics: {orders: {partitions: 6}}\npipelines: {p: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}]}}\n", nil},
		"one replica, all replicas, too few": {func(w *world) {
			w.topic("orders", 1, 1)
			w.topic("copy.dead-letter", 1, 3, "min.insync.replicas", "3")
			w.topic("copies", 1, 1, "min.insync.replicas", "2")
		}, copies, []string{
			`pipelines.copy.dead_letter.topic: warning MR105 the topic "copy.dead-letter" takes writes only while all of its 3 replicas are in sync: one broker that restarts stops them`,
			`pipelines.copy.source.topic: warning MR105 the topic "orders" has one replica: its records are lost with the broker that holds them`,
			`pipelines.copy.sinks[0].kafka.topic: MR113 the sink "kafka" is not ready: nothing can be written to the topic "copies": its min.insync.replicas is 2, and it has 1 replica: lower min.insync.replicas, or give the topic more replicas`,
		}},
		"smaller dead letters": {func(w *world) {
			w.topic("orders", 1, 3, "max.message.bytes", "5000000")
			w.topic("copy.dead-letter", 1, 3)
			w.topic("copies", 1, 3)
		}, copies, []string{
			`pipelines.copy.dead_letter.topic: warning MR104 the dead-letter topic "copy.dead-letter" takes records of 1048588 bytes, and its source "orders" has them of up to 5000000: larger ones are dead-lettered without their value`,
		}},
		"a pattern": {func(w *world) { w.topic("orders_eu", 3, 3) },
			"pipelines:\n  a: {source: {pattern: '^orders_'}, dead_letter: off, sinks: [{stdout: {}}]}\n  b: {source: {pattern: '^invoices_'}, dead_letter: off, sinks: [{stdout: {}}]}\n",
			[]string{`pipelines.b.source.pattern: warning MR115 no topic of the cluster matches ^invoices_: the pipeline waits for one`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.make(w)
			got, _ := connect(t, w.blocks()+c.yaml, t.TempDir(), survey.Options{})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConnectReplicas(t *testing.T) {
	w := newWorld(t)
	w.topic("orders", 4, 3)
	w.topic("wide", 100, 3)
	yaml := w.blocks() + `pipelines:
  few: {source: {topics: [orders]}, dead_letter: off, sinks: [{stdout: {}}]}
  many: {source: {topic: wide}, concurrency: {lanes: 50}, dead_letter: off, sinks: [{stdout: {}}]}
`
	got, _ := connect(t, yaml, t.TempDir(), survey.Options{Replicas: 6})
	if diff := cmp.Diff([]string{`pipelines.few.source.topics: warning MR103 6 replicas share 4 partitions: 2 of them have nothing to read`}, got); diff != "" {
		t.Error(diff)
	}
	got, _ = connect(t, yaml, t.TempDir(), survey.Options{})
	if diff := cmp.Diff([]string{`pipelines.many.concurrency.lanes: warning MR103 50 lanes for each of 100 partitions are up to 5000 calls to a sink at once from one process`}, got); diff != "" {
		t.Error(diff)
	}
}

// Keys that live shorter than records, a store that was never made although the
// group committed under one, and a state folder that can't be written.
func TestConnectKeys(t *testing.T) {
	w := newWorld(t)
	w.topic("orders", 1, 3, "retention.ms", "1209600000")
	w.topic("kept", 1, 3, "cleanup.policy", "compact")
	w.topic("short", 1, 3, "retention.ms", "86400000")
	w.commit("a", "orders", 0, 0, "millrace/1 00000000000000000000000000000000 0123456789abcdef/3")
	yaml := w.blocks() + `idempotency: {store: embedded}
pipelines:
  a: {source: {topic: orders}, idempotency: {key: "k:${key}"}, dead_letter: off, sinks: [{stdout: {}}]}
  b: {source: {topic: kept}, idempotency: {key: "k:${key}"}, dead_letter: off, sinks: [{stdout: {}}]}
  c: {source: {topic: short}, idempotency: {key: "k:${key}"}, dead_letter: off, sinks: [{stdout: {}}]}
`
	dir := filepath.Join(t.TempDir(), ".millrace")
	got, seen := connect(t, yaml, dir, survey.Options{})
	lost := "idempotency.store: MR112 the key store has lost the keys that the group \"a\" recorded: a run would wait for `millrace keys accept-reset`"
	lives := []string{
		`pipelines.a.idempotency.ttl: warning MR075 keys live for 8d, and records of "orders" for 14d on the cluster: a late replay repeats effects`,
		`pipelines.b.idempotency.ttl: warning MR075 keys live for 8d, and records of "kept" for ever, the newest of each key on the cluster: a late replay repeats effects`,
	}
	if diff := cmp.Diff(append([]string{lost}, lives...), got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"kafka: 3 brokers, 3 topics, 3 groups looked at", "idempotency.store: embedded, not made yet", "sinks: 3 asked"}, seen); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the state folder was made: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ = connect(t, yaml, file, survey.Options{})
	if want := fmt.Sprintf("idempotency.store: MR114 write the state folder %s: %s is no folder", file, file); len(got) < 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConnectGroups(t *testing.T) {
	w := newWorld(t)
	for _, topic := range []string{"orders", "again", "beyond", "fresh", "shared"} {
		w.topic(topic, 2, 3)
	}
	w.commit("again", "again", 0, 0, "millrace/1 00112233445566778899aabbccddeeff ")
	w.commit("stopped", "beyond", 1, 7, "")
	w.commit("reset", "beyond", 1, 7, "")
	joined := joinGroup(t, w, "shared", "shared")
	defer joined()
	yaml := w.blocks() + `pipelines:
  orders: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}]}
  again: {source: {topic: again}, dead_letter: off, sinks: [{stdout: {}}]}
  stopped: {source: {topic: beyond}, dead_letter: off, sinks: [{stdout: {}}]}
  reset: {source: {topic: beyond, on_out_of_range: earliest}, dead_letter: off, sinks: [{stdout: {}}]}
  fresh: {source: {topic: fresh, start: {offsets: {0: 3, 5: 1, 6: 1}}}, dead_letter: off, sinks: [{stdout: {}}]}
  committed: {source: {topic: beyond, group: "else", start: {offsets: {0: 0}}}, dead_letter: off, sinks: [{stdout: {}}]}
  joins: {source: {topic: shared, group: shared}, dead_letter: off, sinks: [{stdout: {}}]}
`
	got, _ := connect(t, yaml, t.TempDir(), survey.Options{})
	want := []string{
		`pipelines.again.source.group: warning MR108 the topic "again" was deleted and made again since the group "again" committed: it is read from its earliest record`,
		`pipelines.stopped.source.group: MR108 the group "stopped" committed offset 7 of beyond/1, and the log has 0 to 0: the partition would stand still`,
		`pipelines.reset.source.group: warning MR108 the group "reset" committed offset 7 of beyond/1, and the log has 0 to 0: it goes on at the earliest record`,
		`pipelines.fresh.source.start.offsets: MR109 start names offset 3 of fresh/0, and the log has 0 to 0: the partition would stand still`,
		`pipelines.fresh.source.start.offsets: warning MR109 start names partitions 5, 6 of "fresh", which has 2 partitions: it has no effect there`,
		`pipelines.joins.source.group: MR107 the group "shared" has 1 member that share partitions by "range": a pipeline can't join them`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// joinGroup makes another program's member of a group, until the returned
// function is called.
func joinGroup(t *testing.T, w *world, group, topic string) (leave func()) {
	t.Helper()
	assigned := make(chan struct{}, 8)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { assigned <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-assigned:
	case <-time.After(30 * time.Second):
		t.Fatal("the member was not assigned anything")
	}
	return client.Close
}

// Credentials that may do some of what is needed.
func TestConnectPermissions(t *testing.T) {
	allow := func(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
	}
	const topic, group = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.SeedTopics(1, "orders", "hidden", "dead", "copies", "__consumer_offsets"),
		kfake.User("PLAIN", "app", "s3cret",
			allow(topic, "orders", kmsg.ACLOperationDescribe), allow(topic, "orders", kmsg.ACLOperationDescribeConfigs),
			allow(topic, "dead", kmsg.ACLOperationRead), allow(topic, "dead", kmsg.ACLOperationDescribeConfigs),
			allow(topic, "copies", kmsg.ACLOperationWrite), allow(group, "mine", kmsg.ACLOperationRead)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	yaml := func(password string) string {
		return fmt.Sprintf(`kafka: {brokers: [%q], sasl: {mechanism: plain, username: app, password: %s}}
pipelines:
  a: {source: {topic: orders, group: mine}, dead_letter: {topic: dead}, sinks: [{kafka: {topic: copies}}]}
  b: {source: {topic: hidden}, dead_letter: off, sinks: [{stdout: {}}]}
`, c.ListenAddrs()[0], password)
	}
	got, _ := connect(t, yaml("s3cret"), t.TempDir(), survey.Options{})
	want := []string{
		`pipelines.a.source.topic: MR106 the credentials may not read the topic "orders"`,
		`pipelines.a.dead_letter.topic: MR106 the credentials may not write to the topic "dead"`,
		`pipelines.a.sinks[0].kafka.topic: warning MR106 the credentials may not see the settings of the topic "copies": they were not checked`,
		`pipelines.b.source.group: MR106 the credentials may not use the group "b"`,
		`pipelines.b.source.topic: MR106 the credentials may not see the source topic "hidden"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, _ = connect(t, yaml("wr0ng-password"), t.TempDir(), survey.Options{})
	if len(got) != 1 || !strings.Contains(got[0], "kafka.brokers[0]: MR100 ") || !strings.Contains(got[0], "kafka.sasl") || strings.Contains(got[0], "wr0ng") {
		t.Errorf("got %q, want one problem of the credentials", got)
	}
}

// Addresses where nobody listens, where somebody does who never answers, and a
// cluster whose brokers are elsewhere than they say.
func TestConnectBrokers(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const closed = "127.0.0.1:1" // Nobody listens there, and nobody is given it.
	w := newWorld(t)
	w.topic("orders", 1, 3)
	pipes := "pipelines: {p: {source: {topic: orders}, dead_letter: off, sinks: [{stdout: {}}, {name: web, http: {url: 'http://" + closed + "/a'}}]}}\n"
	begun := time.Now()
	got, _ := connect(t, fmt.Sprintf("kafka: {brokers: [%q, %q]}\nidempotency: {store: 'redis://me:s3cret@%s/0'}\n", silent.Addr(), closed, closed)+
		strings.Replace(pipes, "dead_letter: off", "dead_letter: off, idempotency: {key: 'k:${key}'}", 1), t.TempDir(), survey.Options{Timeout: time.Second})
	refused := "dial tcp " + closed + ": connect: connection refused"
	want := []string{
		fmt.Sprintf("kafka.brokers[0]: MR100 the broker %s can't be used: no answer within 1s", silent.Addr()),
		fmt.Sprintf("kafka.brokers[1]: MR100 the broker %s can't be used: %s", closed, refused),
		fmt.Sprintf("idempotency.store: MR110 the key store can't be used: reach redis at %s: %s", closed, refused),
		fmt.Sprintf(`pipelines.p.sinks[1].http.url: MR113 the sink "web" is not ready: connect to the receiver: %s`, refused),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s, with a timeout of 1s", took)
	}
	// One that answers is enough for a run, so the other is a warning.
	got, _ = connect(t, fmt.Sprintf("kafka: {brokers: [%q, %q]}\n", closed, w.brokers[0])+strings.Replace(pipes, closed, w.brokers[0], 1), t.TempDir(), survey.Options{})
	if diff := cmp.Diff([]string{fmt.Sprintf("kafka.brokers[0]: warning MR100 the broker %s can't be used: %s", closed, refused)}, got); diff != "" {
		t.Error(diff)
	}
}

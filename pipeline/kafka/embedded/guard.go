package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// guard refuses producers before the log outgrows its limit or its disk: opening
// reads the whole log, and kfake copes badly with a full disk.
type guard struct {
	dir   string
	every time.Duration
	limit int64
	disk  func(dir string) (free, total int64, err error)
	alarm func(Alarm)

	// used and room are measured now and then, and counted in between from what
	// producers send; room is what the disk has above its reserve.
	used    atomic.Int64
	room    atomic.Int64
	reserve atomic.Int64

	mu      sync.Mutex
	cluster *kfake.Cluster
	// reason is why producers are refused, empty while they are not.
	reason string
	// installed says that kfake asks answer about produce requests.
	installed bool
	warned    bool

	quit chan struct{}
	done chan struct{}
}

const (
	// warnShare of the limit is when the guard warns.
	warnShare = 0.75
	// resumeShare of the limit is when producers may go on again, a little below
	// it so that they are not refused and let in by turns.
	resumeShare = 0.95
	// reserveShare of the disk is kept free, at most maxReserve: commits and the
	// broker's own files need room when records have none left.
	reserveShare = 0.05
	maxReserve   = 1 << 30
)

func newGuard(config Config, dir string, alarm func(Alarm)) *guard {
	g := &guard{
		dir: dir, every: config.watchEvery, limit: config.SizeLimit, disk: config.disk, alarm: alarm,
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	// Until the first measure nothing is known, and nobody produces yet.
	g.room.Store(1 << 62)
	return g
}

func (g *guard) start(cluster *kfake.Cluster) {
	g.mu.Lock()
	g.cluster = cluster
	g.mu.Unlock()
	g.measure()
	go func() {
		defer close(g.done)
		ticker := time.NewTicker(g.every)
		defer ticker.Stop()
		for {
			select {
			case <-g.quit:
				return
			case <-ticker.C:
				g.measure()
			}
		}
	}()
}

func (g *guard) stop() {
	close(g.quit)
	<-g.done
}

// produced counts a produce request before kfake reads it. It does not block.
func (g *guard) produced(bytes int64) {
	used, room := g.used.Add(bytes), g.room.Add(-bytes)
	if used > g.limit || room < 0 {
		g.judge(used, room)
	}
}

// measure asks the file system. Where it can't tell, the last figures stay.
func (g *guard) measure() {
	used, err := logSize(g.dir)
	if err != nil {
		return
	}
	free, total, err := g.disk(g.dir)
	if err != nil {
		return
	}
	reserve := min(int64(float64(total)*reserveShare), maxReserve)
	room := free - reserve
	g.reserve.Store(reserve)
	g.used.Store(used)
	g.room.Store(room)
	g.judge(used, room)
}

// judge raises and clears alarms and refuses producers or lets them in.
func (g *guard) judge(used, room int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cluster == nil {
		return
	}
	size := fmt.Sprintf("the log in %s has %s of at most %s", g.dir, bytesText(used), bytesText(g.limit))
	disk := fmt.Sprintf("the disk of %s has little room left", g.dir)
	switch {
	case g.reason == "" && used > g.limit:
		g.refuse(size)
	case g.reason == "" && room < 0:
		g.refuse(disk)
	case g.reason != "" && float64(used) < float64(g.limit)*resumeShare && room > 0:
		g.reason = ""
		g.alarm(Alarm{Kind: AlarmFull, Cleared: true})
	}
	near := ""
	switch {
	case float64(used) > float64(g.limit)*warnShare:
		near = size
	case room < g.reserve.Load():
		near = disk
	}
	switch {
	case near != "" && !g.warned:
		g.warned = true
		g.alarm(Alarm{Kind: AlarmNearlyFull, Message: near +
			"; beyond that, producers are refused; delete topics that are done with"})
	case near == "" && g.warned:
		g.warned = false
		g.alarm(Alarm{Kind: AlarmNearlyFull, Cleared: true})
	}
}

// refuse is called with mu held. kfake keeps what it asks a control about for as
// long as the control stands, so there is one only while it is needed.
func (g *guard) refuse(reason string) {
	g.reason = reason
	if !g.installed {
		g.installed = true
		g.cluster.ControlKey(int16(kmsg.Produce), g.answer)
	}
	g.alarm(Alarm{Kind: AlarmFull, Message: reason +
		"; producers are refused until topics are deleted or there is room"})
}

// answer refuses a produce request with KAFKA_STORAGE_ERROR, which producers take
// for the broker's trouble and not for the record's: they hold the record and try
// again.
func (g *guard) answer(r kmsg.Request) (kmsg.Response, error, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		g.installed = false
		g.cluster.DropControl()
		return nil, nil, false
	}
	g.cluster.KeepControl()
	request := r.(*kmsg.ProduceRequest)
	if request.Acks == 0 {
		// Nobody waits for an answer, and one would be taken for the next.
		request.Topics = nil
		return nil, nil, false
	}
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range request.Topics {
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition = partition.Partition
			p.BaseOffset = -1
			p.ErrorCode = kerr.KafkaStorageError.Code
			p.ErrorMessage = kmsg.StringPtr(g.reason)
			t.Partitions = append(t.Partitions, p)
		}
		response.Topics = append(response.Topics, t)
	}
	return response, nil, true
}

// logSize is the size of all files below dir. Files that vanish meanwhile count
// nothing.
func logSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		size += info.Size()
		return nil
	})
	return size, err
}

func bytesText(n int64) string {
	const kib = 1 << 10
	switch {
	case n >= kib*kib*kib:
		return fmt.Sprintf("%.1f GiB", float64(n)/(kib*kib*kib))
	case n >= kib*kib:
		return fmt.Sprintf("%.1f MiB", float64(n)/(kib*kib))
	default:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
}

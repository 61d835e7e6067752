package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// mender checks the files of a log that nobody has open and puts right what kfake
// would lose more from than is lost. What it cuts out it keeps in the folder
// `damaged`.
type mender struct {
	dir   string
	alarm func(Alarm)
	// checker is nil where every batch was looked at before the log took it.
	checker *batchChecker
}

// found is what a log tells on opening.
type found struct {
	groups, txns map[string]struct{}
	// transactional are the producers that have a transactional id.
	transactional map[int64]struct{}
}

// mend runs before kfake opens the log in dir.
func mend(ctx context.Context, dir string, alarm func(Alarm)) (found, error) {
	m := &mender{dir: dir, alarm: serial(alarm)}
	f := found{groups: map[string]struct{}{}, txns: map[string]struct{}{}, transactional: map[int64]struct{}{}}
	if old, err := readJSON(filepath.Join(dir, metaFile), &struct{}{}); err != nil {
		return f, err
	} else if !old {
		return f, errors.Join(m.checkNew(), m.noteChecked())
	}
	topics, err := readTopics(dir)
	if err != nil {
		return f, err
	}
	if err := m.forgetStaleWindows(); err != nil {
		return f, err
	}
	if err := m.setAsideOrphans(topics); err != nil {
		return f, err
	}
	commits, producers, err := m.mendStateLogs()
	if err != nil {
		return f, err
	}
	for _, c := range commits {
		f.groups[c.Group] = struct{}{}
	}
	f.learnProducers(producers)
	if err := m.learnChecked(); err != nil {
		return f, err
	}
	if err := m.mendPartitions(ctx, topics, commits); err != nil {
		return f, err
	}
	return f, m.noteChecked()
}

// serial lets several goroutines raise alarms.
func serial(alarm func(Alarm)) func(Alarm) {
	var mu sync.Mutex
	return func(a Alarm) {
		mu.Lock()
		defer mu.Unlock()
		alarm(a)
	}
}

// checkNew refuses a folder with records and without the file that kfake knows a
// log by: it would begin anew on top of them.
func (m *mender) checkNew() error {
	entries, err := os.ReadDir(filepath.Join(m.dir, partitionsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds records, but its file %s is gone: "+
			"restore it, or move the folder away to begin anew", m.dir, metaFile)
	}
	return nil
}

// forgetStaleWindows removes what an earlier clean end remembered of producers'
// sequences where the last end was not clean: a producer that went on since would
// be refused. Without it, any sequence is taken.
func (m *mender) forgetStaleWindows() error {
	_, err := os.Stat(filepath.Join(m.dir, cleanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return removeFile(filepath.Join(m.dir, windowsFile))
	}
	return err
}

// setAsideOrphans moves partitions away that no topic claims: a topic made anew
// under the name would append to their files.
func (m *mender) setAsideOrphans(topics map[string]int32) error {
	claimed := make(map[string]bool)
	for topic, partitions := range topics {
		for p := range partitions {
			claimed[partitionDir(topic, p)] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(m.dir, partitionsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if claimed[entry.Name()] {
			continue
		}
		to, err := m.damagedPath(entry.Name())
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(m.dir, partitionsName, entry.Name()), to); err != nil {
			return err
		}
		m.alarm(Alarm{Kind: AlarmDamaged,
			Message: fmt.Sprintf("no topic claims the partition folder %s: it was moved to %s", entry.Name(), to)})
	}
	return nil
}

// mendPartitions checks each partition's log, several at a time, and raises its
// end where a group or the last clean end knew of a later one.
func (m *mender) mendPartitions(ctx context.Context, topics map[string]int32, commits []commit) error {
	var (
		group    sync.WaitGroup
		mu       sync.Mutex
		failures []error
		slots    = make(chan struct{}, runtime.GOMAXPROCS(0))
	)
	for _, part := range m.partitions(topics, commits) {
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if err := part.mend(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, fmt.Errorf("check %s/%d: %w", part.topic, part.partition, err))
			}
		})
	}
	group.Wait()
	return errors.Join(append(failures, ctx.Err())...)
}

// partitions lists the partitions of all topics with the commits of each.
func (m *mender) partitions(topics map[string]int32, commits []commit) []*partitionLog {
	type place struct {
		topic     string
		partition int32
	}
	of := make(map[place][]commit)
	for _, c := range commits {
		at := place{c.Topic, c.Partition}
		of[at] = append(of[at], c)
	}
	var all []*partitionLog
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		for p := range topics[topic] {
			all = append(all, &partitionLog{
				mender: m, topic: topic, partition: p,
				dir:     filepath.Join(m.dir, partitionsName, partitionDir(topic, p)),
				commits: of[place{topic, p}],
			})
		}
	}
	return all
}

// keep writes what is cut out of a file to the folder of damaged parts and
// returns where.
func (m *mender) keep(name string, raw []byte) (string, error) {
	path, err := m.damagedPath(name)
	if err != nil {
		return "", err
	}
	return path, writeFile(path, raw)
}

// damagedPath returns a path in the folder of damaged parts that is not taken.
func (m *mender) damagedPath(name string) (string, error) {
	dir := filepath.Join(m.dir, damagedName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
		path = filepath.Join(dir, fmt.Sprintf("%s-%d", name, n))
	}
}

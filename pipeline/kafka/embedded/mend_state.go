package embedded

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// commit is a group's offset of one partition.
type commit struct {
	Group     string
	Topic     string
	Partition int32
	Offset    int64
}

// mendStateLogs checks the append-only files of groups and producers and returns
// the groups' commits and the producers' entries.
func (m *mender) mendStateLogs() (commits []commit, producers [][]byte, err error) {
	groups, err := m.mendStateLog(groupsFile, "groups may read some records again")
	if err != nil {
		return nil, nil, err
	}
	producers, err = m.mendStateLog(producersFile, "idempotent producers may have to begin anew")
	return replayCommits(groups), producers, err
}

// learnProducers notes the producers that have a transactional id.
func (f *found) learnProducers(entries [][]byte) {
	for _, raw := range entries {
		var entry struct {
			ID    int64  `json:"pid"`
			TxnID string `json:"txid"`
		}
		if json.Unmarshal(raw, &entry) == nil && entry.TxnID != "" {
			f.transactional[entry.ID] = struct{}{}
			f.txns[entry.TxnID] = struct{}{}
		}
	}
}

// mendStateLog cuts out what is no entry and returns the entries. kfake would
// read up to there only, and yet append behind it: what it writes from now on
// would be lost at the next crash.
func (m *mender) mendStateLog(name, meaning string) ([][]byte, error) {
	path := filepath.Join(m.dir, name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	var kept, bad []byte
	torn := false
	for pos := 0; pos < len(raw); {
		if n := frameSize(raw[pos:]); n > 0 {
			entries = append(entries, raw[pos+frameHead:pos+n])
			kept = append(kept, raw[pos:pos+n]...)
			pos += n
			torn = false
			continue
		}
		bad = append(bad, raw[pos])
		torn = true
		pos++
	}
	if len(bad) == 0 {
		return entries, nil
	}
	moved, err := m.keep(name, bad)
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, kept); err != nil {
		return nil, err
	}
	a := Alarm{Kind: AlarmDamaged, Message: fmt.Sprintf("%d bytes of %s are damaged: %s; they were moved to %s",
		len(bad), name, meaning, moved)}
	if torn {
		a.Kind = AlarmTorn
	}
	m.alarm(a)
	return entries, nil
}

// replayCommits returns the commits that stand, sorted.
func replayCommits(entries [][]byte) []commit {
	type key struct {
		group, topic string
		partition    int32
	}
	standing := make(map[key]int64)
	for _, raw := range entries {
		var entry struct {
			Type      string `json:"type"`
			Group     string `json:"g"`
			Topic     string `json:"t"`
			Partition int32  `json:"p"`
			Offset    int64  `json:"o"`
		}
		if json.Unmarshal(raw, &entry) != nil {
			continue
		}
		at := key{entry.Group, entry.Topic, entry.Partition}
		switch entry.Type {
		case "commit":
			standing[at] = entry.Offset
		case "delete":
			delete(standing, at)
		}
	}
	commits := make([]commit, 0, len(standing))
	for at, offset := range standing {
		commits = append(commits, commit{Group: at.group, Topic: at.topic, Partition: at.partition, Offset: offset})
	}
	slices.SortFunc(commits, func(a, b commit) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Group, b.Group))
	})
	return commits
}

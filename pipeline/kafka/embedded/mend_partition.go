package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// partitionLog is one partition's folder.
type partitionLog struct {
	*mender
	topic     string
	partition int32
	dir       string
	commits   []commit
}

// mend cuts out what is damaged and keeps the log's end from going back.
func (p *partitionLog) mend() error {
	bases, err := p.segments()
	if err != nil {
		return err
	}
	var end, maxTime int64
	for i, base := range bases {
		if p.checker != nil {
			if err := p.hideMalformed(segmentPath(p.dir, base)); err != nil {
				return err
			}
		}
		scan, err := scanSegment(segmentPath(p.dir, base), base)
		if err != nil {
			return err
		}
		following := int64(-1)
		if i+1 < len(bases) {
			following = bases[i+1]
		}
		if err := p.mendSegment(base, following, scan); err != nil {
			return err
		}
		if scan.batches > 0 {
			end = max(end, scan.end)
		}
		maxTime = max(maxTime, scan.maxTime)
	}
	return p.raiseEnd(end, maxTime)
}

// segments returns the first offsets of the partition's segments, sorted.
func (p *partitionLog) segments() ([]int64, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, entry := range entries {
		if base, ok := segmentBase(entry.Name()); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// mendSegment writes the segment anew where it is damaged, and its index where
// the two are not of one length: kfake appends to both alike.
func (p *partitionLog) mendSegment(base, following int64, scan segmentScan) error {
	path := segmentPath(p.dir, base)
	for _, lost := range scan.lost {
		if err := p.reportLost(base, following, lost); err != nil {
			return err
		}
	}
	if scan.batches == 0 {
		return errors.Join(removeFile(path), removeFile(indexPath(path)))
	}
	if scan.mended != nil {
		// The index first: alone, a wrong one costs nothing that counts.
		return errors.Join(writeFile(indexPath(path), scan.index), writeFile(path, scan.mended))
	}
	info, err := os.Stat(indexPath(path))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() != int64(len(scan.index)) {
		return writeFile(indexPath(path), scan.index)
	}
	return err
}

func (p *partitionLog) reportLost(base, following int64, lost lostRange) error {
	kept, err := p.keep(fmt.Sprintf("%s-%d.dat-%d", filepath.Base(p.dir), base, lost.at), lost.raw)
	if err != nil {
		return err
	}
	a := Alarm{Kind: AlarmDamaged, Topic: p.topic, Partition: p.partition}
	to := lost.to
	if to < 0 {
		to = following
	}
	switch {
	case to > lost.from:
		a.Message = fmt.Sprintf("%s/%d lost %s: the file is damaged there; the %d bytes were moved to %s",
			p.topic, p.partition, offsets(lost.from, to), len(lost.raw), kept)
	case to < 0:
		a.Kind = AlarmTorn
		a.Message = fmt.Sprintf("the last %d bytes of %s/%d, at offset %d, are no whole batch of records: a crash "+
			"cut them off "+
			"before they were acknowledged, or they are damaged; they were moved to %s", len(lost.raw), p.topic,
			p.partition, lost.from, kept)
	default:
		a.Message = fmt.Sprintf("%d bytes of %s/%d at offset %d are no records; they were moved to %s",
			len(lost.raw), p.topic, p.partition, lost.from, kept)
	}
	p.alarm(a)
	return nil
}

// raiseEnd writes an empty batch where the log ends before an offset that it is
// known to have reached. Without it the offsets up to there would be given out
// again, and groups that have passed them would skip the new records unseen.
func (p *partitionLog) raiseEnd(end, maxTime int64) error {
	reached := readSnapshotEnd(p.dir)
	if reached > end {
		p.alarm(Alarm{
			Kind: AlarmDataLoss, Topic: p.topic, Partition: p.partition,
			Message: fmt.Sprintf("%s/%d lost %s: the log ended at %d when it was closed, and ends at %d now",
				p.topic, p.partition, offsets(end, reached), reached, end),
		})
	}
	for _, c := range p.commits {
		if c.Offset <= end {
			continue
		}
		reached = max(reached, c.Offset)
		p.alarm(Alarm{
			Kind: AlarmDataLoss, Topic: p.topic, Partition: p.partition, Group: c.Group,
			Message: fmt.Sprintf("%s/%d lost %s: group %q committed offset %d, and the log ends at %d; new records "+
				"go on behind that offset",
				p.topic, p.partition, offsets(end, c.Offset), c.Group, c.Offset, end),
		})
	}
	if reached <= end {
		return nil
	}
	if reached-end > maxGap {
		p.alarm(Alarm{
			Kind: AlarmDataLoss, Topic: p.topic, Partition: p.partition,
			Message: fmt.Sprintf("offset %d of %s/%d is too far behind the log's end, %d, to go on there: new "+
				"records go on at the end",
				reached, p.topic, p.partition, end),
		})
		return nil
	}
	batch := emptyBatch(reached-1, maxTime)
	index := indexOf(batch)
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	path := segmentPath(p.dir, reached-1)
	return errors.Join(writeFile(indexPath(path), index[:]), writeFile(path, batch))
}

// offsets names the records from one offset to before another.
func offsets(from, to int64) string {
	if to == from+1 {
		return fmt.Sprintf("record %d", from)
	}
	return fmt.Sprintf("records %d–%d", from, to-1)
}

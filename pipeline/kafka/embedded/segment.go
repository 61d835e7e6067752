package embedded

import (
	"bufio"
	"errors"
	"io"
	"os"
)

// segmentScan is what a segment's file holds.
type segmentScan struct {
	// end is the offset after the last sound batch, start where there is none.
	end int64
	// batches is how many sound batches there are, maxTime the latest time in
	// them.
	batches int
	maxTime int64
	// mended is the file's content without what is damaged, nil where nothing
	// is.
	mended []byte
	index  []byte
	lost   []lostRange
}

// lostRange is a part of a segment that is no sound batch. The records from
// `from` to before `to` were in it; to is -1 where nothing sound follows.
type lostRange struct {
	from, to int64
	at       int
	raw      []byte
}

// scanSegment reads the segment at path, whose first offset is start. It reads a
// sound one as a stream, and one that is not at once.
func scanSegment(path string, start int64) (segmentScan, error) {
	scan, sound, err := streamSegment(path, start)
	if err != nil || sound {
		return scan, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return segmentScan{}, err
	}
	return salvage(raw, start), nil
}

// streamSegment tells whether every byte belongs to a sound batch and every batch
// begins where the one before ended.
func streamSegment(path string, start int64) (segmentScan, bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return segmentScan{}, false, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return segmentScan{}, false, err
	}
	scan, rest := segmentScan{end: start}, info.Size()
	reader := bufio.NewReaderSize(file, 1<<20)
	var batch []byte
	for {
		head, err := reader.Peek(batchHead)
		if len(head) == 0 && errors.Is(err, io.EOF) {
			return scan, true, nil
		}
		if err != nil {
			return scan, false, unlessEnd(err)
		}
		size := batchSize(head)
		if rest -= int64(size); size == 0 || rest < 0 || firstOffset(head) != scan.end {
			return scan, false, nil
		}
		if cap(batch) < size {
			batch = make([]byte, size)
		}
		batch = batch[:size]
		if _, err := io.ReadFull(reader, batch); err != nil {
			return scan, false, unlessEnd(err)
		}
		if !soundBatch(batch) {
			return scan, false, nil
		}
		scan.add(batch)
	}
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (s *segmentScan) add(batch []byte) {
	s.end = firstOffset(batch) + lastDelta(batch) + 1
	s.batches++
	s.maxTime = max(s.maxTime, batchTime(batch))
	entry := indexOf(batch)
	s.index = append(s.index, entry[:]...)
}

// salvage keeps every sound batch of raw, also behind a damaged one, where kfake
// would cut the segment off.
func salvage(raw []byte, start int64) segmentScan {
	scan := segmentScan{end: start}
	kept := make([]byte, 0, len(raw))
	changed := false
	for pos := 0; pos < len(raw); {
		at, batch, moved := nextBatch(raw, pos, scan.end)
		if at > pos {
			changed = true
			lost := lostRange{from: scan.end, to: -1, at: pos, raw: raw[pos:at]}
			if batch != nil {
				lost.to = firstOffset(batch)
			}
			scan.lost = append(scan.lost, lost)
		}
		changed = changed || moved
		kept = append(kept, batch...)
		if batch != nil {
			scan.add(batch)
		}
		pos = at + len(batch)
	}
	if changed {
		scan.mended = kept
	}
	return scan
}

// nextBatch finds the first sound batch at or after pos whose offsets can follow
// end; there is none where the batch is nil, and at is the end of raw then. moved
// says that the batch is a copy whose first offset, which the checksum does not
// cover, was damaged and has been put right.
func nextBatch(raw []byte, pos int, end int64) (at int, batch []byte, moved bool) {
	for at = pos; at+minBatch <= len(raw); at++ {
		if raw[at+atMagic] != 2 {
			continue
		}
		found := soundAt(raw, at)
		if found == nil {
			continue
		}
		if firstOffset(found) == end {
			return at, found, false
		}
		// A gap is sound, salvaging leaves them; but where the next batch
		// follows on `end` instead, it is this offset that is wrong.
		next := soundAt(raw, at+len(found))
		if at == pos && next != nil && firstOffset(next) == end+lastDelta(found)+1 {
			copied := append([]byte(nil), found...)
			putOffset(copied, end)
			return at, copied, true
		}
		if firstOffset(found) > end && firstOffset(found)-end < maxGap {
			return at, found, false
		}
	}
	return len(raw), nil, false
}

// maxGap bounds how many offsets a batch may lie behind the one before it.
const maxGap = 1 << 32

// soundAt returns the sound batch at the position, nil where there is none.
func soundAt(raw []byte, at int) []byte {
	if at+minBatch > len(raw) {
		return nil
	}
	size := batchSize(raw[at:])
	if size == 0 || size > len(raw)-at || !soundBatch(raw[at:at+size]) {
		return nil
	}
	return raw[at : at+size]
}

package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// learnChecked finds out whether the log may hold batches that nobody checked: those
// that an earlier version took.
func (m *mender) learnChecked() error {
	_, err := os.Stat(filepath.Join(m.dir, checkedFile))
	if errors.Is(err, fs.ErrNotExist) {
		m.checker = newBatchChecker()
		return nil
	}
	return err
}

func (m *mender) noteChecked() error {
	return writeFile(filepath.Join(m.dir, checkedFile), nil)
}

// hideMalformed keeps kfake from decoding batches that don't hold what they say, on
// which it ends the process: it decodes those only that a time may be in, and no time
// that is asked for is in those any more. Who fetches them gets them as they are.
func (p *partitionLog) hideMalformed(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hidden := 0
	var batch []byte
	for at := int64(0); ; at += int64(len(batch)) {
		if batch, err = batchAt(file, at, batch); err != nil {
			return err
		}
		if batch == nil {
			break // the end, or what is damaged, which comes next
		}
		if batchTime(batch) == noTime || len(batch) == minBatch || isControl(batch) ||
			p.checker.checkRecords(batch) == nil {
			continue // hidden, or empty, or the broker's own, or sound
		}
		binary.BigEndian.PutUint64(batch[atMaxTime:], noTimeBits)
		binary.BigEndian.PutUint32(batch[atChecksum:], crc32.Checksum(batch[atAttribute:], castagnoli))
		if _, err := file.WriteAt(batch[atChecksum:atProducer], at+atChecksum); err != nil {
			return err
		}
		hidden++
	}
	if hidden == 0 {
		return nil
	}
	p.alarm(Alarm{
		Kind: AlarmMalformed, Topic: p.topic, Partition: p.partition,
		Message: fmt.Sprintf("%s/%d has %d batches whose records can't all be read; they stay, and times in them are "+
			"not found any more", p.topic, p.partition, hidden),
	})
	return file.Sync()
}

// noTime is the time of a batch that is hidden: no client can ask for it.
const (
	noTime     = -2
	noTimeBits = 1<<64 - 2
)

func isControl(batch []byte) bool { return batch[atAttribute+1]&controlBit != 0 }

// batchAt reads the sound batch at a position, nil where there is none. It uses buf
// where that is large enough.
func batchAt(file *os.File, at int64, buf []byte) ([]byte, error) {
	var head [batchHead]byte
	if _, err := file.ReadAt(head[:], at); err != nil {
		return nil, unlessEnd(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := batchSize(head[:])
	if size == 0 || int64(size) > info.Size()-at {
		return nil, nil
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if _, err := file.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !soundBatch(buf) {
		return nil, nil
	}
	return buf, nil
}

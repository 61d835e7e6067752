package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The files of kfake's folder that are looked at here.
const (
	metaFile       = "meta.json"
	topicsFile     = "topics.json"
	windowsFile    = "seq_windows.json"
	groupsFile     = "groups.log"
	producersFile  = "pids.log"
	snapshotFile   = "snapshot.json"
	partitionsName = "partitions"
)

// The files that are ours: what was cut out of damaged files, the sign that the log
// was closed and not cut off, and the one that every batch in it was checked.
const (
	damagedName = "damaged"
	cleanFile   = "clean"
	checkedFile = "checked"
)

// castagnoli is the checksum of record batches and of kfake's own files.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readTopics returns the partitions of each topic; none where there is no file.
func readTopics(dir string) (map[string]int32, error) {
	var file struct {
		Topics []struct {
			Name       string `json:"name"`
			Partitions int32  `json:"partitions"`
		} `json:"topics"`
	}
	if _, err := readJSON(filepath.Join(dir, topicsFile), &file); err != nil {
		return nil, err
	}
	topics := make(map[string]int32, len(file.Topics))
	for _, t := range file.Topics {
		topics[t.Name] = t.Partitions
	}
	return topics, nil
}

// readSnapshotEnd returns where the partition in dir ended when the log was last
// closed, 0 where that is not known.
func readSnapshotEnd(dir string) int64 {
	var file struct {
		HighWatermark int64 `json:"high_watermark"`
	}
	if _, err := readJSON(filepath.Join(dir, snapshotFile), &file); err != nil {
		// kfake passes a broken snapshot over, and reads the segments.
		return 0
	}
	return file.HighWatermark
}

// readJSON tells whether there is a file at path.
func readJSON(path string, v any) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

func partitionDir(topic string, partition int32) string {
	return fmt.Sprintf("%s-%d", url.PathEscape(topic), partition)
}

// segmentBase returns the first offset of a segment by its file's name.
func segmentBase(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, ".dat")
	if !ok {
		return 0, false
	}
	base, err := strconv.ParseInt(digits, 10, 64)
	return base, err == nil && base >= 0
}

func segmentPath(dir string, base int64) string {
	return filepath.Join(dir, strconv.FormatInt(base, 10)+".dat")
}

func indexPath(segment string) string { return strings.TrimSuffix(segment, ".dat") + ".idx" }

// A record batch as Kafka lays it out: the first offset, the length and the
// leader's epoch stand before what the checksum covers.
const (
	batchHead   = 12
	minBatch    = 61
	maxBatch    = 1 << 30
	atEpoch     = 12
	atMagic     = 16
	atChecksum  = 17
	atAttribute = 21
	atLastDelta = 23
	atFirstTime = 27
	atMaxTime   = 35
	atProducer  = 43
	atCount     = 57
)

// batchSize is how long the batch is whose head is given, 0 where that can't be.
func batchSize(head []byte) int {
	n := int64(binary.BigEndian.Uint32(head[8:])) + batchHead
	if n < minBatch || n > maxBatch {
		return 0
	}
	return int(n)
}

// soundBatch tells whether raw, as long as its head says, is what was written.
func soundBatch(raw []byte) bool {
	return raw[atMagic] == 2 && lastDelta(raw) >= 0 &&
		binary.BigEndian.Uint32(raw[atChecksum:]) == crc32.Checksum(raw[atAttribute:], castagnoli)
}

func firstOffset(batch []byte) int64 { return int64(binary.BigEndian.Uint64(batch)) }

func putOffset(batch []byte, offset int64) { binary.BigEndian.PutUint64(batch, uint64(offset)) }

func batchTime(batch []byte) int64 { return int64(binary.BigEndian.Uint64(batch[atMaxTime:])) }

func lastDelta(batch []byte) int64 { return int64(int32(binary.BigEndian.Uint32(batch[atLastDelta:]))) }

// emptyBatch is a batch without records that stands for offset, as compaction
// leaves them: clients step over it.
func emptyBatch(offset, timestamp int64) []byte {
	batch := make([]byte, minBatch)
	binary.BigEndian.PutUint64(batch, uint64(offset))
	binary.BigEndian.PutUint32(batch[8:], minBatch-batchHead)
	batch[atMagic] = 2
	binary.BigEndian.PutUint64(batch[atFirstTime:], uint64(timestamp))
	binary.BigEndian.PutUint64(batch[atMaxTime:], uint64(timestamp))
	for i := atProducer; i < atCount; i++ {
		batch[i] = 0xff // no producer, no epoch, no sequence
	}
	binary.BigEndian.PutUint32(batch[atChecksum:], crc32.Checksum(batch[atAttribute:], castagnoli))
	return batch
}

const indexEntry = 15

// indexOf is the index entry that kfake keeps beside a batch.
func indexOf(batch []byte) [indexEntry]byte {
	const transactional, control = 0x10, 0x20
	var entry [indexEntry]byte
	entry[0] = 1 // the format's version
	binary.LittleEndian.PutUint32(entry[2:], binary.BigEndian.Uint32(batch[atEpoch:]))
	binary.LittleEndian.PutUint64(entry[6:], binary.BigEndian.Uint64(batch[atMaxTime:]))
	if attributes := batch[atAttribute+1]; attributes&transactional != 0 && attributes&control == 0 {
		entry[14] = 1
	}
	entry[1] = byte(crc32.Checksum(entry[2:], castagnoli))
	return entry
}

// frameHead is the length, the checksum and the version of an entry in one of
// kfake's append-only files.
const frameHead = 10

// frameSize returns how long the sound entry at the start of raw is, 0 where
// there is none.
func frameSize(raw []byte) int {
	if len(raw) < frameHead {
		return 0
	}
	length := int64(binary.LittleEndian.Uint32(raw))
	if length < 2 || length > math.MaxInt32 || 8+length > int64(len(raw)) {
		return 0
	}
	if binary.LittleEndian.Uint32(raw[4:]) != crc32.Checksum(raw[8:8+length], castagnoli) {
		return 0
	}
	return int(8 + length)
}

// writeFile replaces path with content, durably and whole or not at all.
func writeFile(path string, content []byte) error {
	file, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = file.Sync()
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// removeFile removes path if it is there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

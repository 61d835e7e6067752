package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// asideLayout is what rotation puts into a file's name before its extension:
// the time of its last write.
const asideLayout = "-20060102T150405.000Z"

// moves is how often a file may be found moved away before its write is given
// up.
const moves = 20

// append appends data, in one write, and returns the handle
// and the count of bytes that must be synced, and where in the file the data
// begins. On an error nothing of it is in the file, unless that could not be
// mended either; then the next append cuts it off.
func (f *file) append(data []byte) (h *handle, upTo, at int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range moves {
		if err := f.ready(); err != nil {
			return nil, 0, 0, err
		}
		unlock, err := lock(f.h.f)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("lock %s: %w", f.name, err)
		}
		again, err := f.locked(len(data))
		if err == nil && !again {
			h, at = f.h, f.size
			err = f.put(data)
		}
		unlock()
		if err != nil {
			return nil, 0, 0, fmt.Errorf("append to %s: %w", f.name, err)
		}
		if !again {
			return h, h.wrote(len(data)), at, nil
		}
		if err := f.letGo(); err != nil {
			return nil, 0, 0, fmt.Errorf("close %s: %w", f.name, err)
		}
	}
	return nil, 0, 0, fmt.Errorf("append to %s: other programs keep moving it away", f.name)
}

// locked makes the file fit to be appended to, while nobody else does. again
// tells that it is not the file of that name any more, or was set aside now.
func (f *file) locked(more int) (again bool, err error) {
	info, err := f.h.f.Stat()
	if err != nil {
		return false, err
	}
	root, err := f.s.opened()
	if err != nil {
		return false, err
	}
	there, err := root.Stat(f.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, there) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if info.Size() != f.size {
		// Another process wrote to it, or it was opened just now.
		f.last = info.ModTime()
		if f.size, err = f.mend(root, info.Size()); err != nil {
			f.size = -1
			return false, err
		}
	}
	if !f.due(int64(more)) {
		return false, nil
	}
	return true, f.setAside(root)
}

// put writes data at the end. The caller has the lock and a mended file.
func (f *file) put(data []byte) error {
	n, err := f.s.disk.write(f.h.f, data)
	if err == nil {
		f.size += int64(n)
		f.last = f.s.disk.now()
		return nil
	}
	if n > 0 {
		if cut := f.h.f.Truncate(f.size); cut != nil {
			f.size = -1
			return errors.Join(err, cut)
		}
	}
	return err
}

// due tells whether the file must be set aside before more is appended.
func (f *file) due(more int64) bool {
	r := f.s.config.Rotate
	if f.size == 0 {
		return false
	}
	if r.Size > 0 && f.size+more > int64(r.Size) {
		return true
	}
	return r.Every > 0 && !period(f.last, r.Every).Equal(period(f.s.disk.now(), r.Every))
}

// period is the beginning of the period that a time falls into, counted from
// midnight UTC.
func period(t time.Time, every time.Duration) time.Time { return t.UTC().Truncate(every) }

// setAside renames the file so that its name is free. What was appended is on
// the disk before, as far as that was promised.
func (f *file) setAside(root *os.Root) error {
	if f.s.config.Fsync != "none" {
		if err := f.h.all(); err != nil {
			return err
		}
	}
	ext := path.Ext(f.name)
	base := strings.TrimSuffix(f.name, ext) + f.last.UTC().Format(asideLayout)
	for n := 1; n < 10_000; n++ {
		name := base + ext
		if n > 1 {
			name = base + "-" + strconv.Itoa(n) + ext
		}
		// The name is taken first, so that the rename replaces only what was
		// made for it.
		taken, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = taken.Close()
		}
		if err == nil {
			err = root.Rename(f.name, name)
		}
		if err == nil {
			err = f.s.syncFolder(root, path.Dir(f.name))
		}
		if err != nil {
			return fmt.Errorf("set it aside as %s: %w", name, err)
		}
		f.s.log.Info("a file was set aside", "file", f.name, "as", name, "bytes", f.size)
		return nil
	}
	return errors.New("set it aside: no name is free")
}

// How much of a file's end is read to find its last newline, at first and at
// most.
const (
	mendFirst = 4 << 10
	mendMost  = 256 << 20
)

// tornSuffix is behind the name of the file that takes ends without a newline.
const tornSuffix = ".torn"

// mend makes the file end with a whole line, and returns its size then. What
// lies behind the last newline may be a line that a crash tore, whose record comes
// again, or what somebody else wrote: it is moved to a file beside this one, so
// that nothing is lost either way, unless it is a JSON object or list that only
// lacks the newline.
func (f *file) mend(root *os.Root, size int64) (int64, error) {
	if size == 0 || f.s.config.Format == "raw" {
		return size, nil
	}
	tail, err := f.tail(size)
	if err != nil {
		return 0, err
	}
	if len(tail) == 0 {
		return size, nil
	}
	if (tail[0] == '{' || tail[0] == '[') && json.Valid(tail) {
		if _, err := f.s.disk.write(f.h.f, []byte("\n")); err != nil {
			return 0, err
		}
		return size + 1, nil
	}
	if err := f.keep(root, tail); err != nil {
		return 0, fmt.Errorf("move a line without its end to %s: %w", f.tornName(), err)
	}
	whole := size - int64(len(tail))
	if err := f.h.f.Truncate(whole); err != nil {
		return 0, fmt.Errorf("cut a line without its end off: %w", err)
	}
	f.s.log.Warn("a line without its end was moved away: if a crash tore it, its record comes again", "file", f.name,
		"to", f.tornName(), "offset", whole, "bytes", len(tail))
	return whole, nil
}

// tornName is the name of the file that takes ends without a newline.
func (f *file) tornName() string {
	const longest = 255 // what file systems take
	cut := max(0, len(path.Base(f.name))+len(tornSuffix)-longest)
	return f.name[:len(f.name)-cut] + tornSuffix
}

// keep appends a line without its end to the file that takes such, and returns
// once it is on the disk, as far as that is promised.
func (f *file) keep(root *os.Root, tail []byte) error {
	to, err := root.OpenFile(f.tornName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = to.Write(append(tail[:len(tail):len(tail)], '\n'))
	if err == nil && f.s.config.Fsync != "none" {
		err = f.s.disk.sync(to)
	}
	return errors.Join(err, to.Close(), f.s.syncFolder(root, path.Dir(f.name)))
}

// tail is what lies behind the last newline.
func (f *file) tail(size int64) ([]byte, error) {
	for window := int64(mendFirst); ; window *= 2 {
		from := max(0, size-window)
		chunk := make([]byte, size-from)
		if _, err := f.h.f.ReadAt(chunk, from); err != nil {
			return nil, fmt.Errorf("read how it ends: %w", err)
		}
		if i := bytes.LastIndexByte(chunk, '\n'); i >= 0 || from == 0 {
			return chunk[i+1:], nil
		}
		if window >= mendMost {
			return nil, fmt.Errorf("it is no file of lines: its last %d bytes hold no newline", len(chunk))
		}
	}
}

package file

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/handlers"
)

// The permissions of what is made: the owner writes, the group may read.
const (
	fileMode = 0o640
	dirMode  = 0o750
)

// file is one name that is written to.
type file struct {
	s    *sink
	name string
	// users is how many writes use it, used when the last one began to; both
	// are guarded by the sink's mu.
	users int
	used  int64

	mu sync.Mutex
	h  *handle // nil while it is not open
	// size is what this process left the file with, -1 where it has not
	// looked; last is when the file was last written.
	size int64
	last time.Time
}

// use returns the file of a name until done is called.
func (s *sink) use(name string) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[name]
	if f == nil {
		f = &file{s: s, name: name, size: -1}
		s.files[name] = f
	}
	s.uses++
	f.used = s.uses
	f.users++
	return f
}

// done gives a file back. Of those that nobody uses, the ones used last stay
// open.
func (s *sink) done(f *file) {
	for _, spare := range s.release(f) {
		if err := spare.retire(); err != nil {
			s.log.Error("a file could not be brought to the disk and closed", "file", spare.name, "err", err)
		}
	}
}

// release gives a file back and takes out those that are to be closed: several
// at once, so that looking for them is rare.
func (s *sink) release(f *file) (spare []*file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.users--
	if len(s.files) <= s.config.OpenFiles {
		return nil
	}
	for _, f := range s.files {
		if f.users == 0 {
			spare = append(spare, f)
		}
	}
	slices.SortFunc(spare, func(a, b *file) int { return cmp.Compare(a.used, b.used) })
	spare = spare[:min(len(spare), len(s.files)-s.config.OpenFiles+s.config.OpenFiles/8)]
	for _, f := range spare {
		delete(s.files, f.name)
	}
	return spare
}

// retire closes the handle once what was appended is on the disk, as far as that
// was promised.
func (f *file) retire() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.letGo()
}

// letGo is retire for a caller that holds mu.
func (f *file) letGo() error {
	if f.h == nil {
		return nil
	}
	h := f.h
	f.h, f.size = nil, -1
	var err error
	if f.s.config.Fsync != "none" {
		err = h.all()
	}
	return errors.Join(err, h.close())
}

// ready opens the file where it is not open, or can't be used any more. The
// caller holds mu.
func (f *file) ready() error {
	if f.h != nil {
		if f.h.broken() == nil {
			return nil
		}
		f.s.log.Warn("a file is opened anew after a failed fsync", "file", f.name, "err", f.letGo())
	}
	root, err := f.s.opened()
	if err != nil {
		return err
	}
	opened, err := f.s.openFile(root, f.name)
	if err != nil {
		return fmt.Errorf("open %s: %w", f.name, err)
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &notAFile{f.name}
	}
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	f.h = newHandle(opened, f.s.disk)
	f.size, f.last = -1, info.ModTime()
	return nil
}

// notAFile is a name under which something else lies, such as a device.
type notAFile struct{ name string }

func (e *notAFile) Error() string { return e.name + " is no regular file" }

// openFile opens a file to append to and makes it, and its folders, where they
// are missing.
func (s *sink) openFile(root *os.Root, name string) (*os.File, error) {
	// Reading is needed to see how the file ends; and opened so, a pipe does
	// not block.
	const flags = os.O_RDWR | os.O_APPEND
	f, err := root.OpenFile(name, flags, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := s.mayMake(); err != nil {
		return nil, err
	}
	made, err := makeFolders(root, path.Dir(name))
	if err != nil {
		return nil, err
	}
	if f, err = root.OpenFile(name, flags|os.O_CREATE, fileMode); err != nil {
		return nil, err
	}
	// The names must be on the disk as well, or the data is there and nobody
	// finds it.
	for _, dir := range append(made, path.Dir(name)) {
		if err := s.syncFolder(root, dir); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// makeFolders makes a folder and those above it, and returns the parents of
// what it made.
func makeFolders(root *os.Root, dir string) (parents []string, err error) {
	for at := dir; at != "."; at = path.Dir(at) {
		if _, err := root.Stat(at); err == nil {
			break
		}
		parents = append(parents, path.Dir(at))
	}
	return parents, root.MkdirAll(dir, dirMode)
}

func (s *sink) syncFolder(root *os.Root, dir string) error {
	if s.config.Fsync == "none" || runtime.GOOS == "windows" {
		return nil
	}
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(s.disk.sync(f), f.Close())
}

// mayMake counts a new file, or says that there were too many this hour. Where
// records make the names that is the record's fault, and the others go on.
func (s *sink) mayMake() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.disk.now()
	if now.Sub(s.hour) >= time.Hour || now.Before(s.hour) {
		s.hour, s.made = now, 0
	}
	if s.made >= s.config.MaxNewFiles {
		class := handlers.NotApplied
		if s.config.Path.Constant {
			class = handlers.Infrastructure
		}
		return &handlers.Failure{
			Class: class, NotSent: true,
			Err: fmt.Errorf("%d new files were made within an hour: raise max_new_files if that is meant", s.made),
		}
	}
	s.made++
	return nil
}

// opened is the folder, made and opened at the first call. One that was removed
// later is not made again: what was mounted there may come back. It is waited for,
// and the folder that then has its name is opened.
func (s *sink) opened() (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, err := filepath.Abs(s.config.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder: %w", err)
	}
	if s.root == nil {
		return s.open(dir)
	}
	there, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the folder %s was removed: make it again, and the sink goes on", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the folder: %w", err)
	}
	if was, err := s.root.Stat("."); err == nil && os.SameFile(was, there) {
		return s.root, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder: %w", err)
	}
	s.log.Warn("the folder is another one than before, and is opened anew", "dir", dir)
	// Who uses the old one just now fails, and comes again.
	err, s.root = s.root.Close(), root
	return root, err
}

// open makes and opens the folder. The caller holds mu.
func (s *sink) open(dir string) (*os.Root, error) {
	var parents []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		parents = append(parents, filepath.Dir(at))
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	for _, parent := range parents {
		root, err := os.OpenRoot(parent)
		if err != nil {
			return nil, fmt.Errorf("make the folder: %w", err)
		}
		if err := errors.Join(s.syncFolder(root, "."), root.Close()); err != nil {
			return nil, fmt.Errorf("make the folder: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder: %w", err)
	}
	s.root = root
	if s.config.Fsync == "interval" {
		s.syncing.Go(s.keepSyncing)
	}
	return s.root, nil
}

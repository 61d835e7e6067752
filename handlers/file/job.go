package file

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/millrace/millrace/handlers"
)

// filesAtOnce is how many files one write has in use at most: a batch over more of
// them is written in parts.
const filesAtOnce = 512

// job is one batch on its way to the disk.
type job struct {
	s       *sink
	calls   []pending
	failed  map[int]*handlers.Failure
	answers []string
	// broken are the keys of which a call has failed.
	broken map[string]bool
}

// pending is one call, in bytes that are the job's own.
type pending struct {
	index     int
	key, path string
	data      []byte
}

// part are the calls of one file that are appended together.
type part struct {
	file  *file
	calls []pending
	h     *handle
	upTo  int64
	err   error // of bringing it to the disk
}

func newJob(s *sink, batch []handlers.Call) *job {
	j := &job{s: s, failed: map[int]*handlers.Failure{}, broken: map[string]bool{}, answers: make([]string, len(batch)),
		calls: make([]pending, len(batch))}
	size := 0
	for i := range batch {
		size += len(batch[i].Request.(*request).data)
	}
	all := make([]byte, 0, size)
	for i := range batch {
		r := batch[i].Request.(*request)
		from := len(all)
		all = append(all, r.data...)
		j.calls[i] = pending{index: i, key: string(batch[i].Order), path: r.path, data: all[from:len(all):len(all)]}
	}
	return j
}

func (j *job) run() {
	for left := j.calls; len(left) > 0; {
		n := span(left, min(filesAtOnce, j.s.config.OpenFiles))
		j.some(left[:n])
		left = left[n:]
	}
}

// span is how many of the calls go together: no more files than may be in use.
func span(calls []pending, files int) int {
	names := map[string]bool{}
	for i, c := range calls {
		if names[c.path] = true; len(names) > files {
			return i
		}
	}
	return len(calls)
}

// some appends calls of a few files, and then brings these to the disk at once.
func (j *job) some(calls []pending) {
	parts := j.parts(calls)
	defer func() {
		for _, p := range parts {
			j.s.done(p.file)
		}
	}()
	j.sort(calls, parts)
	var syncs sync.WaitGroup
	for i, p := range parts {
		if len(p.calls) == 0 {
			continue
		}
		if err := j.append(p); err != nil {
			// The disk is at fault, so the other files fare no better.
			for _, other := range parts[i:] {
				j.failAll(other.calls, handlers.Unavailable(err))
			}
			break
		}
		if j.s.config.Fsync == "batch" {
			syncs.Go(func() { p.err = p.h.sync(p.upTo) })
		}
	}
	syncs.Wait()
	for _, p := range parts {
		if p.err != nil {
			j.failAll(p.calls, handlers.Unavailable(fmt.Errorf("bring %s to the disk: %w", p.file.name, p.err)))
		}
	}
}

// sort gives each part its calls. Whether a file can be opened at all is found
// out before anything is written, so that a call that fails keeps back the later
// ones of its key also where these go to other files.
func (j *job) sort(calls []pending, parts []*part) {
	byName := map[string]*part{}
	refused := map[string]*handlers.Failure{}
	for _, p := range parts {
		byName[p.file.name] = p
		p.file.mu.Lock()
		err := p.file.ready()
		p.file.mu.Unlock()
		if err != nil {
			refused[p.file.name] = j.s.refusal(err)
		}
	}
	for _, c := range calls {
		switch failure := refused[c.path]; {
		case j.broken[c.key]:
			j.failed[c.index] = &handlers.Failure{Class: handlers.NotAttempted,
				Err: errors.New("an earlier call of the same key failed")}
		case failure != nil:
			j.failAll([]pending{c}, failure)
		default:
			byName[c.path].calls = append(byName[c.path].calls, c)
		}
	}
}

func (j *job) parts(calls []pending) []*part {
	var parts []*part
	seen := map[string]bool{}
	for _, c := range calls {
		if !seen[c.path] {
			seen[c.path] = true
			parts = append(parts, &part{file: j.s.use(c.path)})
		}
	}
	return parts
}

// append writes the calls of one file.
func (j *job) append(p *part) error {
	data := make([][]byte, len(p.calls))
	for i, c := range p.calls {
		data[i] = c.data
	}
	all := bytes.Join(data, nil)
	h, upTo, at, err := p.file.append(all)
	if err != nil {
		return err
	}
	p.h, p.upTo = h, upTo
	for _, c := range p.calls {
		j.answers[c.index] = answer(c.path, at)
		at += int64(len(c.data))
	}
	return nil
}

// answer is where a call lies, cut to what is kept of it.
func answer(name string, at int64) string {
	position := "@" + strconv.FormatInt(at, 10)
	return name[:min(len(name), 64-len(position))] + position
}

func (j *job) failAll(calls []pending, failure *handlers.Failure) {
	for _, c := range calls {
		j.failed[c.index], j.answers[c.index], j.broken[c.key] = failure, "", true
	}
}

// refusal says what follows from a file that can't be opened: a name that a
// record made is that record's fault, all else the disk's or the
// configuration's.
func (s *sink) refusal(err error) *handlers.Failure {
	var failure *handlers.Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case !s.config.Path.Constant && nameRefused(err):
		return handlers.Permanent(err)
	default:
		return handlers.Unreachable(err)
	}
}

// nameRefused tells whether err is the fault of a name that a record made: it
// leads out of the folder through a link, or something else lies there.
func nameRefused(err error) bool {
	var other *notAFile
	return errors.As(err, &other) || strings.Contains(err.Error(), "path escapes from parent") || theNames(err)
}

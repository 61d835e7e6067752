package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/handlers"
)

// Write appends the batch and returns once it is as durable as `fsync` says.
func (s *sink) Write(ctx context.Context, batch []handlers.Call) error {
	return s.batches.Write(ctx, batch)
}

// write appends what lanes wrote at the same time. A disk may hang, and nothing can
// stop what it was told: then it goes on, with a copy of the bytes, when nobody waits
// for it any more.
func (s *sink) write(_ context.Context, batch []handlers.Call) error {
	j := newJob(s, batch)
	j.run()
	for i := range batch {
		batch[i].Answer = j.answers[i]
	}
	if len(j.failed) == 0 {
		return nil
	}
	return &handlers.BatchError{Failed: j.failed}
}

// Rehearse judges trouble as a disk's: whatever it is, no record is at fault.
func (c *Config) Rehearse(t handlers.Trouble) (*handlers.Failure, bool) {
	switch {
	case t.Status != 0:
		return nil, false
	case t.Refused:
		return handlers.Unreachable(errors.New("the file can't be opened")), true
	case t.Timeout:
		return handlers.Unavailable(errors.New("the disk has not answered yet")), true
	default:
		return handlers.Unavailable(errors.New("the lines may not have come to the disk")), true
	}
}

// Close waits for what is under way, brings all to the disk and closes it.
func (s *sink) Close(ctx context.Context) error {
	close(s.ended)
	if err := s.batches.Close(ctx); err != nil {
		return fmt.Errorf("close the files: %w", err)
	}
	idle := make(chan struct{})
	go func() {
		s.syncing.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		return fmt.Errorf("close the files: the disk does not answer: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for name, f := range s.files {
		if err := f.retire(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", name, err))
		}
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	return errors.Join(errs...)
}

// keepSyncing brings to the disk, every interval, what was appended.
func (s *sink) keepSyncing() {
	ticker := time.NewTicker(s.config.FsyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-ticker.C:
		}
		for _, f := range s.inUse() {
			f.mu.Lock()
			h := f.h
			f.mu.Unlock()
			if h == nil || h.broken() != nil {
				continue
			}
			if err := h.all(); err != nil {
				s.log.Error("records that were acknowledged may not be on the disk", "file", f.name, "err", err)
			}
		}
	}
}

func (s *sink) inUse() []*file {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*file, 0, len(s.files))
	for _, f := range s.files {
		all = append(all, f)
	}
	return all
}

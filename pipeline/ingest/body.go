package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// How a body may come: a client that is slower than this holds nothing up.
const (
	// patience is how long a body may take beside what its bytes take at pace,
	// in bytes a second.
	patience = 5 * time.Second
	pace     = 64 << 10
	// minBudget is how much memory the bodies of all requests may take at once,
	// where a route takes no larger ones.
	minBudget = 64 << 20
	// atOnce is how many of the largest bodies there is room for.
	atOnce = 8
)

// budget is memory that bodies share.
type budget struct{ used, most atomic.Int64 }

// take takes so many bytes, and tells whether there were as many.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) <= b.most.Load() {
		return true
	}
	b.give(n)
	return false
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// body is a request's body, and how much of the budget it takes.
type body struct {
	bytes []byte
	taken int
}

// readBody reads the whole body into memory that is taken from the budget as it
// comes, so that who announces much and sends little holds little. An empty body
// is empty and not nil, which would be a tombstone. The caller gives back what
// was taken.
func (s *Server) readBody(w http.ResponseWriter, req *http.Request, limit int64) (b body, a *answer) {
	tooLarge := func() *answer {
		a := refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the record is larger than %d bytes, which is ingest.max_record_bytes", limit))
		a.close = true
		return a
	}
	if req.ContentLength > limit {
		return b, tooLarge()
	}
	// One byte more than there can be, so that the end is seen without growing.
	whole := int(limit) + 1
	if req.ContentLength >= 0 {
		whole = int(req.ContentLength) + 1
	}
	in, pacer := http.MaxBytesReader(w, req.Body, limit), newPacer(w)
	defer pacer.end()
	for {
		if len(b.bytes) == cap(b.bytes) {
			more := max(1, min(max(512, cap(b.bytes)), whole-cap(b.bytes)))
			if !s.bodies.take(more) {
				a := refuse(http.StatusTooManyRequests, "too many requests at once: send the record again")
				a.retryAfter, a.close = "1", true
				return b, a
			}
			b.taken += more
			grown := make([]byte, len(b.bytes), cap(b.bytes)+more)
			copy(grown, b.bytes)
			b.bytes = grown
		}
		pacer.read(len(b.bytes))
		n, err := in.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return b, tooLarge()
		}
		a := refuse(http.StatusBadRequest, "the body could not be read to its end")
		a.close = true
		return b, a
	}
}

// pacer cuts off a client that is too slow.
type pacer struct {
	control *http.ResponseController
	began   time.Time
}

func newPacer(w http.ResponseWriter) *pacer {
	return &pacer{http.NewResponseController(w), time.Now()}
}

// read allows the next read after so many bytes. A connection without deadlines
// is one of a test.
func (p *pacer) read(so int) {
	allowed := patience + time.Duration(so)*time.Second/pace
	_ = p.control.SetReadDeadline(p.began.Add(min(allowed, readTimeout)))
}

// end gives the connection the deadline that it had.
func (p *pacer) end() { _ = p.control.SetReadDeadline(p.began.Add(readTimeout)) }

package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/millrace/millrace/pipeline/memory"
)

// How a body may come: a client that is slower than this holds nothing up.
const (
	// patience is how long a body may take beside what its bytes take at pace,
	// in bytes a second.
	patience = 5 * time.Second
	pace     = 64 << 10
	// minBodies is how much memory the bodies of all requests may take at once,
	// where a route takes no larger ones, and atOnce how many of the largest there
	// is room for.
	minBodies = 64 << 20
	atOnce    = 8
	// lingering is how long a client that is refused may go on to send its body,
	// so that it sees the answer.
	lingering = 500 * time.Millisecond
)

// body is a request's body, without its compression, and what it takes.
type body struct {
	bytes []byte
	gives []func()
}

// grow makes room for more bytes, which are taken from the account, and tells
// whether there were as many.
func (b *body) grow(more int, account *memory.Account) bool {
	give, ok := account.TryTake(int64(more))
	if !ok {
		return false
	}
	b.gives = append(b.gives, give)
	grown := make([]byte, len(b.bytes), cap(b.bytes)+more)
	copy(grown, b.bytes)
	b.bytes = grown
	return true
}

// give returns what was taken.
func (b *body) give() {
	for _, give := range b.gives {
		give()
	}
}

// readBody reads the whole body into memory that is taken from the account as it
// comes, so that who announces much and sends little holds little. An empty body
// is empty and not nil, which would be a tombstone. The caller gives back what
// was taken.
func (s *Server) readBody(w http.ResponseWriter, req *http.Request, route *route) (b body, a *answer) {
	limit := route.maxBody()
	if req.ContentLength > limit {
		return b, route.tooLarge()
	}
	wire := &wire{from: http.MaxBytesReader(w, req.Body, limit), control: http.NewResponseController(w),
		began: time.Now(), sum: route.Auth.hash()}
	defer wire.end()
	// One byte more than there can be, so that the end is seen without growing.
	whole := int(limit) + 1
	if req.ContentLength >= 0 && !zipped(req) {
		whole = int(req.ContentLength) + 1
	}
	from, err := wire.unzip(req)
	for err == nil {
		if len(b.bytes) == cap(b.bytes) && !b.grow(max(1, min(max(512, cap(b.bytes)), whole-cap(b.bytes))), s.bodies) {
			return b, busy()
		}
		var n int
		n, err = from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if int64(len(b.bytes)) > limit {
			return b, route.tooLarge()
		}
	}
	if errors.Is(err, io.EOF) {
		return b, route.Auth.checkBody(req, wire.sum)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return b, route.tooLarge()
	}
	a = refuse(http.StatusBadRequest, "the body could not be read to its end")
	if wire.err == nil {
		a = refuse(http.StatusBadRequest, "the body is not what its Content-Encoding says")
	}
	a.close = true
	return b, a
}

func busy() *answer {
	a := refuse(http.StatusTooManyRequests, "too many requests at once: send the record again")
	a.retryAfter, a.close = "1", true
	return a
}

// tooLarge refuses a body that is larger than there may be.
func (r *route) tooLarge() *answer {
	a := refuse(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the record is larger than %d bytes, which is ingest.max_record_bytes", r.MaxBytes))
	if r.Many {
		a = refuse(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes, which is %d times ingest.max_record_bytes: send fewer "+
				"records", r.maxBody(), manyBodies))
	}
	a.close = true
	return a
}

// zipped tells whether the body is compressed.
func zipped(req *http.Request) bool { return req.Header.Get("Content-Encoding") == "gzip" }

// wire is a body as it is sent. It cuts off a client that is too slow, and sums
// up what comes.
type wire struct {
	from    io.Reader
	control *http.ResponseController
	began   time.Time
	sum     hash.Hash
	read    int
	// err is the error that ended it.
	err error
}

// Read allows each read some time after the bytes before it. A connection without
// deadlines is one of a test.
func (w *wire) Read(p []byte) (int, error) {
	allowed := patience + time.Duration(w.read)*time.Second/pace
	_ = w.control.SetReadDeadline(w.began.Add(min(allowed, readTimeout)))
	n, err := w.from.Read(p)
	w.read += n
	if w.sum != nil {
		w.sum.Write(p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// end gives the connection the deadline that it had.
func (w *wire) end() { _ = w.control.SetReadDeadline(w.began.Add(readTimeout)) }

// unzip is the body without its compression.
func (w *wire) unzip(req *http.Request) (io.Reader, error) {
	if !zipped(req) {
		return w, nil
	}
	from, err := gzip.NewReader(w)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // an empty body is no empty text
	}
	return from, err
}

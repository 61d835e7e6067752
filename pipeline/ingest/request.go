package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

const (
	// maxKeyBytes is the longest Idempotency-Key that is taken.
	maxKeyBytes = 255
	// maxRecordKey is the longest key of a record, and maxCarried how much headers
	// may take along: both go on into dead letters, which must fit their topic.
	maxRecordKey = 16 << 10
	maxCarried   = 8 << 10
)

// ServeHTTP takes the records of one request and answers 202 once they are
// durable.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := ""
	route, ok := (*s.routes.Load())[req.URL.Path]
	if ok {
		path = route.Path
	}
	answer := s.answer(w, req, route)
	if !answer.read {
		// The server reads on before it answers, and waits for who sends nothing.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingering))
	}
	answer.write(w)
	if s.deps.OnRequest != nil {
		s.deps.OnRequest(path, answer.status)
	}
}

// answer never panics: what goes wrong in one request is told and logged, and
// ends neither the process nor the answer.
func (s *Server) answer(w http.ResponseWriter, req *http.Request, route *route) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			// What is panicked with may hold a part of the record.
			s.deps.Logger.Error("ingest: a request ran into a fault of this program", "type", fmt.Sprintf("%T", p),
				"stack", string(debug.Stack()))
			a = refuse(http.StatusInternalServerError, "the server ran into a fault of its own: its log says where")
			a.close = true
		}
	}()
	switch {
	case !s.hosts.Take(req):
		a = refuse(http.StatusMisdirectedRequest,
			"this server is not called by that name: its operator may add it to ingest.hosts")
		a.close = true
		return a
	case route == nil:
		return refuse(http.StatusNotFound, "there is no route of this path")
	}
	return s.take(w, req, route)
}

// stopping refuses what must not begin any more.
func (s *Server) stopping(req *http.Request) *answer {
	if s.refusing.Load() && !fromPipeline(req.Header.Get("Idempotency-Key")) {
		a := refuse(http.StatusServiceUnavailable, "the server is stopping: send the record again")
		a.retryAfter, a.close = "1", true
		return a
	}
	return nil
}

// fromPipeline tells whether an idempotency key has the form that pipelines
// give to theirs: 26 characters of base32.
func fromPipeline(key string) bool {
	return len(key) == 26 && strings.Trim(strings.ToUpper(key), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// take is the way of a request: check, read, key, produce. A slot is taken only
// once the body is there: a client that is slow to send it holds up nobody.
func (s *Server) take(w http.ResponseWriter, req *http.Request, route *route) *answer {
	if a := s.stopping(req); a != nil {
		return a
	}
	if a := s.checkHead(req, route); a != nil {
		return a
	}
	body, a := s.readBody(w, req, route)
	defer body.give()
	if a != nil {
		return a
	}
	a = s.work(req, route, body.bytes)
	a.read = true
	return a
}

// work is what happens to a body that is there.
func (s *Server) work(req *http.Request, route *route, body []byte) *answer {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return busy()
	}
	records, a := route.records(req, body)
	if a != nil {
		return a
	}
	if a := s.checkAll(route, req, records); a != nil {
		return a
	}
	return s.produce(req.Context(), route, records)
}

// checkAll refuses the first record that can't be taken.
func (s *Server) checkAll(route *route, req *http.Request, records []*handlers.Record) (a *answer) {
	in := route.inputs.Get().(*expression.Input)
	for i := 0; i < len(records) && a == nil; i++ {
		if a = s.check(route, req, in, records[i]); a != nil {
			a.of(i, len(records))
		}
	}
	// One that a panic left as it was is not used again.
	route.inputs.Put(in)
	return a
}

// checkHead refuses what can be refused without the body.
func (s *Server) checkHead(req *http.Request, route *route) *answer {
	if req.Method != http.MethodPost {
		a := refuse(http.StatusMethodNotAllowed, "send a record with POST")
		a.allow = http.MethodPost
		return a
	}
	// A page in somebody's browser must not be able to write to a topic.
	if err := s.origins.Check(req); err != nil {
		return refuse(http.StatusForbidden, "requests from pages of another origin are not taken")
	}
	if a := route.Auth.checkHead(req); a != nil {
		return a
	}
	if a := route.checkType(req); a != nil {
		return a
	}
	switch keys := req.Header.Values("Idempotency-Key"); {
	case len(keys) > 1:
		return refuse(http.StatusBadRequest, "there is more than one Idempotency-Key")
	case len(keys) == 1 && !legalKey(keys[0]):
		return refuse(http.StatusBadRequest, fmt.Sprintf("an Idempotency-Key is 1 to %d printable ASCII characters",
			maxKeyBytes))
	}
	return nil
}

// checkType refuses a body that is not in a form that the route takes.
func (r *route) checkType(req *http.Request) *answer {
	switch types := req.Header.Values("Content-Type"); {
	case isJSON(types), r.Many && isLines(types):
	case isLines(types):
		return refuse(http.StatusUnsupportedMediaType, "this route takes one record at a time, as JSON")
	default:
		return refuse(http.StatusUnsupportedMediaType,
			"send the record as JSON, with the header Content-Type: application/json")
	}
	if encodings := req.Header.Values("Content-Encoding"); len(encodings) > 0 &&
		!slices.Equal(encodings, []string{"gzip"}) && !slices.Equal(encodings, []string{"identity"}) {
		a := refuse(http.StatusUnsupportedMediaType, "send the body as it is, or compressed with gzip")
		a.encoding = "gzip"
		return a
	}
	return nil
}

// isJSON takes a missing type as JSON: the body tells.
func isJSON(types []string) bool {
	if len(types) == 0 {
		return true
	}
	media, _, err := mime.ParseMediaType(types[0])
	return len(types) == 1 && err == nil &&
		(media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// isLines tells whether the body is to be JSON, a value a line.
func isLines(types []string) bool {
	if len(types) != 1 {
		return false
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err == nil && slices.Contains([]string{"application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines"}, media)
}

func legalKey(key string) bool {
	return key != "" && len(key) <= maxKeyBytes &&
		!strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// check reads the value, validates it, and sets the record's key.
func (s *Server) check(r *route, req *http.Request, in *expression.Input, record *handlers.Record) *answer {
	view := &handlers.Record{Topic: record.Topic, Value: record.Value}
	if r.Key != nil {
		view.Headers = requestHeaders(req.Header)
	}
	if err := in.Load(view); err != nil {
		return refuse(http.StatusBadRequest, "the body is not JSON", newReason(nil, err.Error()))
	}
	if a := s.fits(req.Context(), r, record.Value); a != nil {
		return a
	}
	if r.Key == nil {
		return nil
	}
	key, err := r.Key.Bytes(in)
	switch {
	case err != nil:
	case key == nil:
		err = fmt.Errorf("%s is null", r.Key.Source())
	case len(key) == 0:
		err = errors.New("it is empty")
	case len(key) > maxRecordKey:
		err = fmt.Errorf("it is longer than %d bytes", maxRecordKey)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the record's key cannot be made", newReason(nil, err.Error()))
	}
	record.Key = append([]byte{}, key...)
	return nil
}

// fits refuses what the topic's schema does not allow.
func (s *Server) fits(ctx context.Context, r *route, value []byte) *answer {
	if r.Schema == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if len(value) > smallBytes {
		give, err := s.checks.Take(ctx, decodedBytes(value))
		if err != nil {
			return busy()
		}
		defer give()
	}
	reasons, err := r.Schema.check(ctx, value)
	switch {
	case errors.Is(err, errCostly):
		return refuse(http.StatusUnprocessableEntity, errCostly.Error())
	case ctx.Err() != nil && err != nil:
		return busy()
	case err != nil:
		s.deps.Logger.Error("ingest: a record cannot be checked", "topic", r.Topic, "err", err)
		return refuse(http.StatusInternalServerError, "the record cannot be checked: the server's log says why")
	case len(reasons) > 0:
		return refuse(http.StatusBadRequest, "the record does not fit the topic's schema", reasons...)
	}
	return nil
}

// requestHeaders are the request's as expressions see them: names in lower case
// and in alphabetical order.
func requestHeaders(header http.Header) []handlers.Header {
	var headers []handlers.Header
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			headers = append(headers, handlers.Header{Key: strings.ToLower(name), Value: []byte(value)})
		}
	}
	return headers
}

// produce writes the records and answers by what became of them. A client that
// goes away does not stop the write: its fate would be open.
func (s *Server) produce(ctx context.Context, route *route, records []*handlers.Record) *answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), produceTimeout)
	defer cancel()
	err := s.producer.Produce(ctx, records)
	worst, failure, durable := 0, (*handlers.Failure)(nil), 0
	for i := range records {
		switch f := handlers.FailureOf(err, i); {
		case f == nil:
			durable++
		case failure == nil || f.Class == handlers.NotApplied && failure.Class != handlers.NotApplied:
			worst, failure = i, f
		}
	}
	if failure == nil {
		if s.failing.Swap(false) {
			s.deps.Logger.Info("ingest: records are durable again")
		}
		if route.Many {
			return &answer{status: http.StatusAccepted, body: count{route.Topic, len(records)}}
		}
		return accepted(records[0])
	}
	a := s.notDurable(route.Topic, failure).of(worst, len(records))
	if body, ok := a.body.(refusal); ok {
		body.Durable = durable
		a.body = body
	}
	return a
}

// notDurable says why a record is not in its topic, or not known to be.
func (s *Server) notDurable(topic string, failure *handlers.Failure) *answer {
	switch {
	case errors.Is(failure, handlers.ErrTooLarge):
		return refuse(http.StatusRequestEntityTooLarge,
			"the broker refuses the record as too large: its topic's max.message.bytes is smaller")
	case failure.Class == handlers.NotApplied:
		s.deps.Logger.Error("ingest: the broker refuses a record", "topic", topic, "err", failure)
		return refuse(http.StatusInternalServerError, "the broker refuses the record: the server's log says why")
	}
	if !s.failing.Swap(true) {
		s.deps.Logger.Warn("ingest: records cannot be made durable, clients are told to send them again", "topic",
			topic, "err", failure)
	}
	a := refuse(http.StatusServiceUnavailable, "the record is not known to be durable: send it again")
	a.retryAfter = "1"
	return a
}

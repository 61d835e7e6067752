package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
)

// maxKeyBytes is the longest Idempotency-Key that is taken.
const maxKeyBytes = 255

// ServeHTTP takes one record and answers 202 once it is durable.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := ""
	route, ok := (*s.routes.Load())[req.URL.Path]
	if ok {
		path = route.Path
	}
	answer := refuse(http.StatusNotFound, "there is no route of this path")
	if ok {
		answer = s.take(w, req, route)
	}
	answer.write(w)
	if s.deps.OnRequest != nil {
		s.deps.OnRequest(path, answer.status)
	}
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

// take is the way of one record: check, read, key, produce. A slot is taken only
// once the body is there: a client that is slow to send it holds up nobody.
func (s *Server) take(w http.ResponseWriter, req *http.Request, route *route) *answer {
	if a := s.stopping(req); a != nil {
		return a
	}
	if a := s.checkHead(req); a != nil {
		return a
	}
	record := &handlers.Record{Topic: route.Topic, Partition: -1, Offset: -1}
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		record.Headers = []handlers.Header{{Key: "idempotency-key", Value: []byte(key)}}
	}
	body, a := s.readBody(w, req, route.MaxBytes)
	defer s.bodies.give(body.taken)
	if a != nil {
		return a
	}
	record.Value = body.bytes
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		a := refuse(http.StatusTooManyRequests, "too many requests at once: send the record again")
		a.retryAfter = "1"
		return a
	}
	if a := route.check(req, record); a != nil {
		return a
	}
	return s.produce(req.Context(), record)
}

// checkHead refuses what can be refused without the body.
func (s *Server) checkHead(req *http.Request) *answer {
	if req.Method != http.MethodPost {
		a := refuse(http.StatusMethodNotAllowed, "send a record with POST")
		a.allow = http.MethodPost
		return a
	}
	// A page in somebody's browser must not be able to write to a topic.
	if err := s.origins.Check(req); err != nil {
		return refuse(http.StatusForbidden, "requests from pages of another origin are not taken")
	}
	if !isJSON(req.Header.Values("Content-Type")) {
		return refuse(http.StatusUnsupportedMediaType, "send the record as JSON, with the header Content-Type: application/json")
	}
	switch keys := req.Header.Values("Idempotency-Key"); {
	case len(keys) > 1:
		return refuse(http.StatusBadRequest, "there is more than one Idempotency-Key")
	case len(keys) == 1 && !legalKey(keys[0]):
		return refuse(http.StatusBadRequest, fmt.Sprintf("an Idempotency-Key is 1 to %d printable ASCII characters", maxKeyBytes))
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

func legalKey(key string) bool {
	return key != "" && len(key) <= maxKeyBytes &&
		!strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// check reads the value, validates it, and sets the record's key.
func (r *route) check(req *http.Request, record *handlers.Record) *answer {
	in := r.inputs.Get().(*expression.Input)
	defer r.inputs.Put(in)
	view := &handlers.Record{Topic: record.Topic, Value: record.Value}
	if r.Key != nil {
		view.Headers = requestHeaders(req.Header)
	}
	if err := in.Load(view); err != nil {
		return refuse(http.StatusBadRequest, "the body is not JSON", reason{Message: err.Error()})
	}
	if r.Schema != nil {
		if reasons := violations(r.Schema, record.Value); len(reasons) > 0 {
			return refuse(http.StatusBadRequest, "the record does not fit the topic's schema", reasons...)
		}
	}
	if r.Key == nil {
		return nil
	}
	key, err := r.Key.Bytes(in)
	if err == nil && len(key) == 0 && key != nil {
		err = errors.New("it is empty")
	}
	if err == nil && key == nil {
		err = fmt.Errorf("%s is null", r.Key.Source())
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the record's key cannot be made", reason{Message: err.Error()})
	}
	record.Key = append([]byte{}, key...)
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

// produce writes the record and answers by what became of it. A client that
// goes away does not stop the write: its fate would be open.
func (s *Server) produce(ctx context.Context, record *handlers.Record) *answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), produceTimeout)
	defer cancel()
	failure := handlers.FailureOf(s.producer.Produce(ctx, []*handlers.Record{record}), 0)
	switch {
	case failure == nil:
		if s.failing.Swap(false) {
			s.deps.Logger.Info("ingest: records are durable again")
		}
		return accepted(record)
	case errors.Is(failure, handlers.ErrTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "the broker refuses the record as too large: its topic's max.message.bytes is smaller")
	case failure.Class == handlers.NotApplied:
		s.deps.Logger.Error("ingest: the broker refuses a record", "topic", record.Topic, "err", failure)
		return refuse(http.StatusInternalServerError, "the broker refuses the record: the server's log says why")
	}
	if !s.failing.Swap(true) {
		s.deps.Logger.Warn("ingest: records cannot be made durable, clients are told to send them again", "topic", record.Topic, "err", failure)
	}
	a := refuse(http.StatusServiceUnavailable, "the record is not known to be durable: send it again")
	a.retryAfter = "1"
	return a
}

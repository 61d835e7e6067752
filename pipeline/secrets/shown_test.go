package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/millrace/millrace/handlers"
)

func TestShown(t *testing.T) {
	some := New([]string{"hunter22", "12345"}, false)
	for _, c := range []struct {
		r          *Redactor
		text, want string
	}{
		{some, "dial hunter22: no", "dial [redacted]: no"},
		{some, "get https://u:pw@host/x", "get https://u:[redacted]@host/x"},
		{nil, "get https://u:pw@host/x and hunter22", "get https://u:[redacted]@host/x and hunter22"},
		{some, "http://host:80/a@b", "http://host:80/a@b"},
	} {
		if got := c.r.Shown(c.text); got != c.want {
			t.Errorf("%q is shown as %q", c.text, got)
		}
		if got := string(c.r.JSON([]byte(c.text))); got != c.want && got != `"[redacted]"` {
			t.Errorf("as JSON %q is shown as %q", c.text, got)
		}
	}
	for text, want := range map[string]string{
		`{"a":"hunter22","n":1}`:         `{"a":"[redacted]","n":1}`,
		`{"a":[12345,12],"b":"<x>"}`:     `{"a":["[redacted]",12],"b":"<x>"}`,
		`{"n":12345,"u":"http://a:b@c"}`: `{"n":"[redacted]","u":"http://a:[redacted]@c"}`,
	} {
		if got := string(some.JSON([]byte(text))); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

func TestErrorsKeepWhatTheyAre(t *testing.T) {
	some := New([]string{"hunter22"}, false)
	err := some.Error(fmt.Errorf("open hunter22: %w", io.EOF))
	if err.Error() != "open [redacted]: EOF" || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if some.Error(nil) != nil || some.Error(io.EOF) != io.EOF {
		t.Error("an error without a secret is another one")
	}
}

func TestHeadersByTheirNames(t *testing.T) {
	rec := &handlers.Record{Headers: []handlers.Header{{Key: "Authorization", Value: []byte("x")}, {Key: "id", Value: []byte("y")}, {Key: "token"}}}
	shown := rec.WithoutSecrets()
	if string(shown.Headers[0].Value) != Redacted || string(shown.Headers[1].Value) != "y" || shown.Headers[2].Value != nil || string(rec.Headers[0].Value) != "x" {
		t.Errorf("%q of %q", shown.Headers, rec.Headers)
	}
}

// Of an API's answers the errors are looked at, which may quote anybody; the others
// are what they were made as, and may be streams.
func TestAnsweredErrorsAreShown(t *testing.T) {
	for code, want := range map[int]string{
		http.StatusOK: `{"error":"hunter22"}`, http.StatusServiceUnavailable: `{"error":"[redacted]"}`,
	} {
		answer := httptest.NewRecorder()
		New([]string{"hunter22"}, false).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			for _, part := range []string{`{"error":"hun`, `ter22"}`} {
				_, _ = io.WriteString(w, part)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		})).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
		if answer.Code != code || answer.Body.String() != want {
			t.Errorf("%d: %d %s", code, answer.Code, answer.Body)
		}
	}
}

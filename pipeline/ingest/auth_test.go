package ingest_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/ingest"
)

func guarded(p *producer) http.Handler {
	hub := &ingest.HMAC{Header: "X-Hub-Signature-256", Secret: "It's a Secret to Everybody"}
	shop := &ingest.HMAC{Header: "X-Shop-Hmac-Sha256", Secret: "s3cret", Base64: true}
	return ingest.New(&ingest.Plan{Routes: []ingest.Route{
		{Path: "/token", Topic: "t", Auth: &ingest.Auth{Bearer: "t0ken of many letters"}},
		{Path: "/hub", Topic: "t", Auth: &ingest.Auth{HMAC: hub}},
		{Path: "/shop", Topic: "t", Auth: &ingest.Auth{HMAC: shop}},
		{Path: "/open", Topic: "t"},
	}}, p, ingest.Deps{Logger: slog.New(slog.DiscardHandler)})
}

func signature(secret, body string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

func zip(body string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(body))
	_ = w.Close()
	return out.String()
}

func TestAuth(t *testing.T) {
	const body = `{"a":1}`
	good := hex.EncodeToString(signature("It's a Secret to Everybody", body))
	shop := base64.StdEncoding.EncodeToString(signature("s3cret", body))
	for name, c := range map[string]struct {
		path, body, header string
		values             []string
		gzip               bool
		status             int
	}{
		"no token":                {"/token", body, "Authorization", nil, false, 401},
		"another token":           {"/token", body, "Authorization", []string{"Bearer t0ken of many letterz"}, false, 401},
		"the beginning of it":     {"/token", body, "Authorization", []string{"Bearer t0ken"}, false, 401},
		"an empty token":          {"/token", body, "Authorization", []string{"Bearer "}, false, 401},
		"another scheme":          {"/token", body, "Authorization", []string{"Basic t0ken of many letters"}, false, 401},
		"two tokens":              {"/token", body, "Authorization", []string{"Bearer t0ken of many letters", "Bearer x"}, false, 401},
		"the token":               {"/token", body, "Authorization", []string{"bearer t0ken of many letters"}, false, 202},
		"no signature":            {"/hub", body, "X-Hub-Signature-256", nil, false, 403},
		"an empty signature":      {"/hub", body, "X-Hub-Signature-256", []string{"sha256="}, false, 403},
		"not hex":                 {"/hub", body, "X-Hub-Signature-256", []string{"sha256=zz"}, false, 403},
		"of another body":         {"/hub", `{"a":2}`, "X-Hub-Signature-256", []string{"sha256=" + good}, false, 403},
		"as GitHub signs":         {"/hub", body, "X-Hub-Signature-256", []string{"sha256=" + good}, false, 202},
		"as GitHub documents it":  {"/hub", `"Hello, World!"`, "X-Hub-Signature-256", []string{"sha256=" + hex.EncodeToString(signature("It's a Secret to Everybody", `"Hello, World!"`))}, false, 202},
		"in base64":               {"/shop", body, "X-Shop-Hmac-Sha256", []string{shop}, false, 202},
		"in hex, base64 is meant": {"/shop", body, "X-Shop-Hmac-Sha256", []string{hex.EncodeToString(signature("s3cret", body))}, false, 403},
		"of the compressed body":  {"/shop", zip(body), "X-Shop-Hmac-Sha256", []string{base64.StdEncoding.EncodeToString(signature("s3cret", zip(body)))}, true, 202},
		"of what is compressed":   {"/shop", zip(body), "X-Shop-Hmac-Sha256", []string{shop}, true, 403},
		"where none is wanted":    {"/open", body, "Authorization", nil, false, 202},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			w := post(guarded(p), c.path, c.body, func(r *http.Request) {
				r.Header[http.CanonicalHeaderKey(c.header)] = c.values
				if c.gzip {
					r.Header.Set("Content-Encoding", "gzip")
				}
			})
			if w.Code != c.status || (len(p.records()) == 1) != (c.status == 202) {
				t.Errorf("got %d %s and %d records, want %d", w.Code, w.Body, len(p.records()), c.status)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 does not say how to authenticate")
			}
		})
	}
}

// The example of GitHub's documentation, whose body is no JSON.
func TestSignatureOfTheDocumentation(t *testing.T) {
	if got := hex.EncodeToString(signature("It's a Secret to Everybody", "Hello, World!")); got != "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" {
		t.Fatal(got)
	}
	w := post(guarded(&producer{}), "/hub", "Hello, World!", func(r *http.Request) {
		r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	})
	if w.Code != 400 {
		t.Errorf("a good signature of what is no JSON: %d %s", w.Code, w.Body)
	}
}

func TestGzip(t *testing.T) {
	limit := func(body string) string { return body + string(bytes.Repeat([]byte(" "), 100-len(body))) }
	for name, c := range map[string]struct {
		body, encoding string
		status         int
	}{
		"compressed":         {zip(`{"a":1}`), "gzip", 202},
		"of the largest":     {zip(limit("1")), "gzip", 202},
		"a byte more":        {zip(limit("1") + " "), "gzip", 413},
		"a bomb":             {zip(string(make([]byte, 1<<20)))[:90], "gzip", 413},
		"cut off":            {zip(`{"a":1}`)[:15], "gzip", 400},
		"empty":              {"", "gzip", 400},
		"not compressed":     {`{"a":1}`, "gzip", 400},
		"compressed, unsaid": {zip(`{"a":1}`), "", 400},
		"as it is":           {`{"a":1}`, "identity", 202},
		"another one":        {`{"a":1}`, "br", 415},
	} {
		t.Run(name, func(t *testing.T) {
			p := &producer{}
			w := post(server(t, p, nil), "/plain", c.body, func(r *http.Request) {
				if c.encoding != "" {
					r.Header.Set("Content-Encoding", c.encoding)
				}
			})
			if w.Code != c.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, c.status)
			}
			if c.encoding == "gzip" && w.Code == 202 {
				if got := string(bytes.TrimSpace(p.records()[0].Value)); got != `{"a":1}` && got != "1" {
					t.Errorf("the record is %q", got)
				}
			}
			if w.Code == 415 && w.Header().Get("Accept-Encoding") != "gzip" {
				t.Error("415 does not say what is taken")
			}
		})
	}
}

func headersOf(r handlers.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] += string(h.Value) + ";"
	}
	return all
}

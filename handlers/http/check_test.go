package http_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/handlertest"
	"github.com/millrace/millrace/handlers/http"
)

func TestCheck(t *testing.T) {
	const hint = "write http://host/path or https://host/path"
	ok := handlertest.Constant("https://h:8443/a?b=c")
	url := func(text string) http.Config { return http.Config{URL: handlertest.Constant(text)} }
	free := func(prefix string, hosts ...string) http.Config {
		return http.Config{URL: handlertest.Key(prefix), AllowedHosts: hosts}
	}
	headers := func(h templates) http.Config { return http.Config{URL: ok, Headers: h} }
	for name, c := range map[string]struct {
		config http.Config
		want   []handlers.Issue
	}{
		"right":                   {http.Config{URL: ok}, nil},
		"right with parts":        {free("https://user:pass@h:80/a%"), nil},
		"empty":                   {url(""), []handlers.Issue{{Field: "url", Message: "the URL has no http:// or https://", Hint: hint}}},
		"free":                    {free("http://", "h"), nil},
		"free and whole":          {free("", "h"), nil},
		"no scheme":               {url("localhost:3001/a"), []handlers.Issue{{Field: "url", Message: `the scheme "localhost" is neither http nor https`, Hint: hint}}},
		"no URL":                  {url("http://h:x/"), []handlers.Issue{{Field: "url", Message: "this is not a URL", Hint: hint}}},
		"no host":                 {url("http:///a"), []handlers.Issue{{Field: "url", Message: "the URL names no host", Hint: hint}}},
		"fragment":                {url("http://h/a#b"), []handlers.Issue{{Field: "url", Warning: true, Message: "what follows # in a URL is never sent", Hint: "remove it, or write %23 for the character itself"}}},
		"port":                    {url("http://h:99999/a"), []handlers.Issue{{Field: "url", Message: "the URL's port 99999 is none", Hint: "a port is a number up to 65535"}}},
		"another scheme":          {free("ftp://h/"), []handlers.Issue{{Field: "url", Message: `the scheme "ftp" is neither http nor https`, Hint: hint}}},
		"another scheme and host": {free("ftp://", "h"), []handlers.Issue{{Field: "url", Message: `the scheme "ftp" is neither http nor https`, Hint: hint}}},
		"metadata":                {url("http://169.254.169.254/latest"), []handlers.Issue{{Field: "url", Message: "169.254.169.254 is an address of machine metadata, which is always denied"}}},
		"dots":                    {url("http://h/a/../b"), []handlers.Issue{{Field: "url", Message: "the path has a part that is . or ..", Hint: "write the path without . and .."}}},
		"dots behind a part":      {http.Config{URL: handlertest.Template("http://h/x/../", nil)}, []handlers.Issue{{Field: "url", Message: "the path has a part that is . or ..", Hint: "write the path without . and .."}}},
		"dots behind a host":      {free("http://x/%2e%2E/", "h"), []handlers.Issue{{Field: "url", Message: "the path has a part that is . or ..", Hint: "write the path without . and .."}}},
		"a secret port": {http.Config{URL: handlers.Template{Prefix: "http://h:99999/", Sample: "http://h:99999/", Constant: true, Secret: true}}, []handlers.Issue{
			{Field: "url", Message: "the URL's port that it renders to is none", Hint: "a port is a number up to 65535"},
		}},
		"GET with a body": {http.Config{URL: ok, Method: "GET", Body: handlertest.Key("")}, []handlers.Issue{
			{Field: "body", Warning: true, Message: "many receivers drop or refuse the body of a GET", Hint: "send it with POST"},
		}},
		"free without a list": {free("http://h"), []handlers.Issue{{Field: "url", Message: "the host depends on the record", Hint: "write the host out, or list the hosts under allowed_hosts"}}},
		"method": {http.Config{URL: ok, Method: "post"}, []handlers.Issue{
			{Field: "method", Message: "methods are written in capital letters", Hint: "write POST"},
		}},
		"no method": {http.Config{URL: ok, Method: "GET /"}, []handlers.Issue{
			{Field: "method", Message: `"GET /" is not a method`, Hint: "write POST, PUT, PATCH, DELETE or GET"},
		}},
		"timeout": {http.Config{URL: ok, Timeout: -1}, []handlers.Issue{
			{Field: "timeout", Message: "the timeout must be more than nothing", Hint: "write 5s"},
		}},
		"hosts": {http.Config{URL: ok, AllowedHosts: []string{"ftp://h"}}, []handlers.Issue{
			{Field: "allowed_hosts", Message: `"ftp://h" is not a host`, Hint: "write names, *.domains, addresses, or networks such as 10.0.0.0/8"},
		}},
		"several hosts": {http.Config{URL: ok, AllowedHosts: []string{"ftp://h", "ok.test", "h:0", "https://10.0.0.0/8:80"}}, []handlers.Issue{
			{Field: "allowed_hosts", Message: `"ftp://h", "h:0" and "https://10.0.0.0/8:80" are not hosts`, Hint: "write names, *.domains, addresses, or networks such as 10.0.0.0/8"},
		}},
		"own header": {headers(templates{"idempotency-key": handlertest.Constant("1")}), []handlers.Issue{
			{Field: "headers.idempotency-key", Message: "Idempotency-Key is set by the sink itself", Hint: "remove it"},
		}},
		"fixed header":   {headers(templates{"authorization": handlertest.Constant("Bearer x")}), nil},
		"header of data": {headers(templates{"X-Key": handlertest.Key("")}), nil},
		"record's header": {headers(templates{"cookie": handlertest.Key("")}), []handlers.Issue{
			{Field: "headers.cookie", Message: "Cookie must not depend on the record", Hint: `use a fixed value, ${env.NAME} or ${file("path")}`},
		}},
		"no header": {headers(templates{"a b": handlertest.Constant("1")}), []handlers.Issue{
			{Field: "headers.a b", Message: `"a b" is not a header's name`, Hint: "use letters, digits and -"},
		}},
		"header twice": {headers(templates{"X-A": handlertest.Constant("1"), "x-a": handlertest.Constant("2")}), []handlers.Issue{
			{Field: "headers.x-a", Message: `"x-a" is the same header as "X-A"`, Hint: "remove one of the two"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.config.Method == "" {
				c.config.Method = "POST"
			}
			if c.config.Timeout == 0 {
				c.config.Timeout = time.Second
			}
			if diff := cmp.Diff(c.want, c.config.Check()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A secret that goes to another machine over http:// is warned of, and one that stays
// on this machine, or goes over https://, is not.
func TestSecretsInTheOpen(t *testing.T) {
	secret := handlertest.Constant("x")
	secret.Secret = true
	url := handlertest.Constant
	for name, c := range map[string]struct {
		config http.Config
		says   string
	}{
		"a user":              {http.Config{URL: handlertest.Key("http://u:p@shop.test/a")}, "the URL's user and password"},
		"Authorization":       {http.Config{URL: url("http://shop.test/a"), Headers: templates{"Authorization": handlertest.Constant("x")}}, "the header Authorization"},
		"a header of a file":  {http.Config{URL: url("HTTP://10.0.0.1:80"), Headers: templates{"X-Shop": secret}}, "the header X-Shop"},
		"a parameter":         {http.Config{URL: url("http://shop.test/a"), Query: templates{"key": handlertest.Constant("x")}}, "the query parameter key"},
		"a body":              {http.Config{URL: url("http://shop.test/a"), Body: secret}, "a secret in the body"},
		"nothing secret":      {http.Config{URL: url("http://shop.test/a"), Headers: templates{"X-Shop": handlertest.Constant("x")}}, ""},
		"TLS":                 {http.Config{URL: url("https://shop.test/a"), Headers: templates{"Authorization": handlertest.Constant("x")}}, ""},
		"this machine":        {http.Config{URL: url("http://localhost:1/a"), Headers: templates{"Authorization": handlertest.Constant("x")}}, ""},
		"this machine, by ip": {http.Config{URL: handlertest.Key("http://[::1]:1/a"), Headers: templates{"Authorization": handlertest.Constant("x")}}, ""},
	} {
		c.config.Method, c.config.Timeout = "POST", 1
		found := ""
		for _, issue := range c.config.Check() {
			if issue.Cleartext {
				found = issue.Message
			}
		}
		if (found == "") != (c.says == "") || !strings.HasPrefix(found, c.says) {
			t.Errorf("%s: got %q, want %q", name, found, c.says)
		}
	}
}

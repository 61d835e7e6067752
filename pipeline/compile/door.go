package compile

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/ingest"
	"github.com/millrace/millrace/pipeline/shape"
)

// ingestDoor takes what the `ingest:` block says of who may write.
func (c *compiler) ingestDoor(plan *ingest.Plan) {
	if f := c.with("ingest.hosts"); f != nil {
		plan.Hosts = f.Blocks.Ingest.Hosts
		c.hosts(f, "ingest.hosts", plan.Hosts)
	}
	if f := c.with("ingest.tls"); f != nil && f.Blocks.Ingest.TLS != nil {
		plan.TLS = &certificate.Files{Cert: f.Blocks.Ingest.TLS.Cert, Key: f.Blocks.Ingest.TLS.Key}
	}
	const path = diag.Path("ingest.listen")
	host, _, err := net.SplitHostPort(plan.Listen)
	ip := net.ParseIP(host)
	f := c.with(path)
	if f == nil || err != nil || !c.sound(f, path) || host == "localhost" || ip != nil && ip.IsLoopback() {
		return
	}
	if i := slices.IndexFunc(plan.Routes, func(r ingest.Route) bool { return r.Auth == nil }); i >= 0 {
		c.openRoute(f, path, plan.Routes[i].Path)
	}
	bearer := func(r ingest.Route) bool { return r.Auth != nil && r.Auth.Bearer != "" }
	if plan.TLS == nil && c.with("ingest.tls") == nil && slices.ContainsFunc(plan.Routes, bearer) {
		c.warn(f, path, diag.CodeCleartext,
			"ingest.auth without ingest.tls: the token travels unencrypted from other machines",
			"add tls: {cert: server.pem, key: server.key}, or listen on 127.0.0.1 behind a proxy that has them")
	}
}

// openRoute reports a route that takes records from other machines without asking
// who they are, unless that is wanted.
func (c *compiler) openRoute(f *config.File, path diag.Path, route string) {
	if door := c.with("ingest.insecure"); door != nil && (door.Blocks.Ingest.Insecure ||
		!c.sound(door, "ingest.insecure")) {
		return
	}
	for _, each := range c.config.Files {
		if each.Blocks.Ingest != nil && c.brokenAuth(each) {
			return // it is written, and wrong
		}
	}
	c.atValue(f, path, diag.CodeOpenIngest,
		fmt.Sprintf("ingest.listen takes records from other machines too, and asks nobody who they are on the route %s",
			route),
		`add auth: {bearer: '${file("/run/secrets/ingest")}'} to ingest, or listen on 127.0.0.1; where a proxy or a firewall says who may write, write insecure: true`)
}

// brokenAuth tells whether a file says how clients show who they are in a way that
// is reported already or not known.
func (c *compiler) brokenAuth(f *config.File) bool {
	paths := []diag.Path{"ingest.auth"}
	for i := range f.Blocks.Ingest.Routes {
		paths = append(paths, diag.Path("ingest.routes").Item(i).Field("auth"))
	}
	return slices.ContainsFunc(paths, func(path diag.Path) bool {
		return f.Source.Has(path) && (!c.sound(f, path) || slices.ContainsFunc(slices.Collect(maps.Keys(f.Unknown)),
			func(p diag.Path) bool { return p.Within(path) }))
	})
}

// ingestAuth takes how the clients of a route show that they may write: what the
// route says, or what the block says for all.
func (c *compiler) ingestAuth(f *config.File, path diag.Path, r *config.IngestRoute, route *ingest.Route) {
	path, auth := path.Field("auth"), r.Auth
	if !f.Source.Has(path) {
		path = "ingest.auth"
		if f = c.with(path); f == nil {
			return
		}
		auth = f.Blocks.Ingest.Auth
	}
	if auth == nil || c.unclear(f, path) {
		return
	}
	both := auth.Bearer != "" && auth.HMAC != nil
	switch bearer := path.Field("bearer"); {
	case both:
		c.once(diag.Problem{Path: path, Place: f.Source.Key(path), Code: diag.CodeExclusive,
			Message: fmt.Sprintf("%s has bearer and hmac, which exclude each other", path)})
	case auth.HMAC != nil:
		c.ingestHMAC(f, path.Field("hmac"), auth.HMAC, route)
	case f.Source.Has(bearer) && !c.sound(f, bearer):
	case f.Source.Has(bearer) && auth.Bearer == "":
		c.once(diag.Problem{Path: bearer, Place: f.Source.Value(bearer), Code: diag.CodeEmpty,
			Message: string(bearer) + " is empty: everybody could write"})
	case auth.Bearer == "":
		c.once(diag.Problem{Path: path, Place: f.Source.Key(path), Code: diag.CodeRequired,
			Message: fmt.Sprintf("%s has neither bearer nor hmac", path),
			Hint:    `write {bearer: '${file("/run/secrets/ingest")}'}`})
	default:
		route.Auth = &ingest.Auth{Bearer: auth.Bearer}
	}
}

func (c *compiler) ingestHMAC(f *config.File, path diag.Path, hmac *config.IngestHMAC, route *ingest.Route) {
	if !c.sound(f, path) || hmac.Header == "" || hmac.Secret == "" {
		return
	}
	if at := path.Field("header"); !httpguts.ValidHeaderFieldName(hmac.Header) {
		c.once(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeMalformed,
			Message: fmt.Sprintf("%s must be the name of a header, not %q", at, hmac.Header)})
		return
	}
	route.Auth = &ingest.Auth{HMAC: &ingest.HMAC{Header: hmac.Header, Secret: hmac.Secret,
		Base64: hmac.Encoding == "base64"}}
}

// once adds a problem that each route would find anew.
func (c *compiler) once(p diag.Problem) {
	if !slices.ContainsFunc(c.problems, func(other diag.Problem) bool {
		return other.Path == p.Path && other.Message == p.Message && other.Place.File == p.Place.File
	}) {
		c.add(p)
	}
}

// ingestHeaders takes the headers that the records of a route take along.
func (c *compiler) ingestHeaders(f *config.File, path diag.Path, r *config.IngestRoute, route *ingest.Route) {
	path, names := path.Field("headers"), r.Headers
	if !f.Source.Has(path) {
		path = "ingest.headers"
		if f = c.with(path); f == nil {
			return
		}
		names = f.Blocks.Ingest.Headers
	}
	for i, name := range names {
		at, name := path.Item(i), strings.ToLower(name)
		if !c.sound(f, at) {
			continue
		}
		what := ""
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			what = fmt.Sprintf("%q is not the name of a header", name)
		case handlers.SecretName(name):
			what = fmt.Sprintf("the header %s is secret: it would stand in the topic for all who read it", name)
		case strings.HasPrefix(name, "millrace-"):
			what = fmt.Sprintf("headers that begin with millrace- say where a dead letter comes from: clients can't "+
				"set %s", name)
		case name == "idempotency-key":
			what = "idempotency-key is in the record anyway"
		case slices.Contains(route.Headers, name):
			what = fmt.Sprintf("the header %s is named twice", name)
		}
		if what != "" {
			c.once(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeIngest, Message: what})
			continue
		}
		route.Headers = append(route.Headers, name)
	}
}

// ingestSchema takes the schema of a route's topic.
func (c *compiler) ingestSchema(f *config.File, path diag.Path, route *ingest.Route) {
	document := c.topicDocument(route.Topic)
	if document == nil {
		return
	}
	var err error
	if route.Schema, err = ingest.NewSchema(document.Location, document); err != nil {
		c.once(diag.Problem{Path: path, Place: f.Source.Value(path), Code: diag.CodeSchemaFile,
			Message: fmt.Sprintf("the schema of the topic %q can't be used for ingest: %s", route.Topic,
				shape.OneLine(err))})
	}
}

// hosts checks names by which a listener is called.
func (c *compiler) hosts(f *config.File, path diag.Path, names []string) {
	for i, name := range names {
		at := path.Item(i)
		_, err := netip.ParseAddr(strings.Trim(name, "[]"))
		if !c.sound(f, at) || err == nil || name != "" && !strings.ContainsAny(name, ":/@*?# ") {
			continue
		}
		c.atValue(f, at, diag.CodeMalformed, fmt.Sprintf("%s must be a name, not %s", at, c.shown(f, at, name)),
			"write it without scheme, port and path, such as orders.example.com")
	}
}

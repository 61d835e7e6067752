package config

import (
	"fmt"
	"reflect"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/files"
)

// certificates reads the certificate files of a file's `kafka:` and `ingest:`
// blocks, and of its sinks, to say at once what is wrong with them. Where secrets may be missing
// they may too.
func (r *reader) certificates(f *File) {
	if r.options.SkipEnv {
		return
	}
	if block := f.Blocks.Kafka; block != nil && block.TLS != nil {
		r.clientCertificates(f, "kafka.tls", &handlers.TLS{CA: block.TLS.CA, Cert: block.TLS.Cert, Key: block.TLS.Key})
	}
	if block := f.Blocks.Ingest; block != nil && block.TLS != nil {
		files := certificate.Files{Cert: block.TLS.Cert, Key: block.TLS.Key}
		cert, key := files.Check()
		r.certificate(f, "ingest.tls.cert", files.Cert, cert)
		r.certificate(f, "ingest.tls.key", files.Key, key)
	}
	for i := range f.Blocks.Pipelines {
		p := &f.Blocks.Pipelines[i].Value
		r.sinkCertificates(f, p.Sinks)
		for j := range p.Routes {
			r.sinkCertificates(f, p.Routes[j].Sinks)
		}
	}
}

// sinkCertificates does it for the sinks of a pipeline.
func (r *reader) sinkCertificates(f *File, sinks []Sink) {
	for i := range sinks {
		if block, at := TlsOf(&sinks[i]); block != nil {
			r.clientCertificates(f, at, block)
		}
	}
}

func (r *reader) clientCertificates(f *File, at diag.Path, block *handlers.TLS) {
	names := map[string]string{"ca": block.CA, "cert": block.Cert, "key": block.Key}
	for _, fault := range block.Check() {
		r.certificate(f, at.Field(fault.Field), names[fault.Field], fault.Err)
	}
}

// TlsOf is the block of a sink that says how it reaches its system over TLS, and
// where it stands; nil where it has none.
func TlsOf(config *Sink) (*handlers.TLS, diag.Path) {
	v := reflect.ValueOf(config.Handler)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, ""
	}
	for field, value := range v.Elem().Fields() {
		if !field.IsExported() {
			continue
		}
		if block, ok := value.Interface().(*handlers.TLS); ok && block != nil {
			return block, config.HandlerPath().Field(field.Tag.Get("yaml"))
		}
	}
	return nil, ""
}

// certificate reports what is wrong with one file, if anything is.
func (r *reader) certificate(f *File, at diag.Path, file string, err error) {
	if err != nil && f.Source.Has(at) && !f.Unknown[at] {
		r.problems.Add(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeCertificate,
			Message: fmt.Sprintf("the file %s can't be used: %s", file, files.Reason(err))})
	}
}

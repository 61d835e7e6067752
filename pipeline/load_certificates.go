package pipeline

import (
	"fmt"

	"github.com/millrace/millrace/pipeline/certificate"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// certificates reads the certificate files of a file's `kafka:` and `ingest:`
// blocks, to say at once what is wrong with them. Where secrets may be missing
// they may too.
func (r *reader) certificates(f *File) {
	if r.options.SkipEnv {
		return
	}
	if block := f.Blocks.Kafka; block != nil && block.TLS != nil {
		files := kafka.TLS{CA: block.TLS.CA, Cert: block.TLS.Cert, Key: block.TLS.Key}
		ca, cert, key := files.Check()
		r.certificate(f, "kafka.tls.ca", files.CA, ca)
		r.certificate(f, "kafka.tls.cert", files.Cert, cert)
		r.certificate(f, "kafka.tls.key", files.Key, key)
	}
	if block := f.Blocks.Ingest; block != nil && block.TLS != nil {
		files := certificate.Files{Cert: block.TLS.Cert, Key: block.TLS.Key}
		cert, key := files.Check()
		r.certificate(f, "ingest.tls.cert", files.Cert, cert)
		r.certificate(f, "ingest.tls.key", files.Key, key)
	}
}

// certificate reports what is wrong with one file, if anything is.
func (r *reader) certificate(f *File, at diag.Path, file string, err error) {
	if err != nil && f.Source.Has(at) && !f.unknown[at] {
		r.problems.Add(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeCertificate,
			Message: fmt.Sprintf("the file %s can't be used: %s", file, reason(err))})
	}
}

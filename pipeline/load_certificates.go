package pipeline

import (
	"fmt"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/kafka"
)

// certificates reads the certificate files of a file's `kafka:` block, to say
// at once what is wrong with them. Where secrets may be missing they may too.
func (r *reader) certificates(f *File) {
	block := f.Blocks.Kafka
	if block == nil || block.TLS == nil || r.options.SkipEnv {
		return
	}
	const path = diag.Path("kafka.tls")
	files := kafka.TLS{CA: block.TLS.CA, Cert: block.TLS.Cert, Key: block.TLS.Key}
	ca, cert, key := files.Check()
	for _, c := range []struct {
		field, file string
		err         error
	}{{"ca", files.CA, ca}, {"cert", files.Cert, cert}, {"key", files.Key, key}} {
		if at := path.Field(c.field); c.err != nil && f.Source.Has(at) && !f.unknown[at] {
			r.problems.Add(diag.Problem{Path: at, Place: f.Source.Value(at), Code: diag.CodeCertificate,
				Message: fmt.Sprintf("the file %s can't be used: %s", c.file, reason(c.err))})
		}
	}
}

package diag

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// writeGitHub writes a workflow command for each problem.
func writeGitHub(w io.Writer, problems Problems) error {
	var out bytes.Buffer
	// What a value may not hold is percent-encoded; a property ends at more.
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range problems {
		message := p.Message
		if r := p.Related; r != nil {
			message += "\nsee " + r.Place.String() + ": " + r.Message
		}
		if p.Hint != "" {
			message += "\nhint: " + p.Hint
		}
		fmt.Fprintf(&out, "::%s file=%s", p.Severity, property.Replace(filepath.ToSlash(filepath.Clean(p.Place.File))))
		if from, to := p.extent(); from.Line > 0 {
			fmt.Fprintf(&out, ",line=%d,col=%d,endColumn=%d", from.Line, from.Column, to.Column)
		}
		fmt.Fprintf(&out, ",title=%s::%s\n", property.Replace("Millrace "+string(p.Code)), data.Replace(message))
	}
	_, err := w.Write(out.Bytes())
	return err
}

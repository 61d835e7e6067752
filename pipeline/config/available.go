package config

import "github.com/millrace/millrace/pipeline/diag"

// unavailable is the one list of what the configuration language has and this
// version can't run. A sink kind leaves it by being registered.
type unavailable struct {
	sinkKinds    []string
	Formats      []string
	ServerBlocks []string
}

// NotAvailable is that list.
func NotAvailable() unavailable {
	return unavailable{
		sinkKinds:    []string{"sql", "redis", "email", "exec"},
		Formats:      []string{"avro", "protobuf"},
		ServerBlocks: []string{"listen"},
	}
}

// problem says at its key, or at its value, that something can't run yet.
func NotAvailableProblem(source *diag.Source, path diag.Path, atKey bool, what string) diag.Problem {
	p := diag.Problem{Path: path, Place: source.Value(path), Code: diag.CodeNotAvailable, Message: what + " not available in this version"}
	if atKey {
		p.Place = source.Key(path)
	}
	return p
}

package diag

import (
	"encoding/json"
	"io"
)

type jsonProblem struct {
	File     string       `json:"file"`
	Line     int          `json:"line"`
	Column   int          `json:"column"`
	Severity Severity     `json:"severity"`
	Code     Code         `json:"code"`
	Message  string       `json:"message"`
	Hint     string       `json:"hint,omitempty"`
	Related  *jsonRelated `json:"related,omitempty"`
	Fix      string       `json:"fix,omitempty"`
}

type jsonRelated struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func writeJSON(w io.Writer, problems Problems) error {
	list := make([]jsonProblem, len(problems))
	for i, p := range problems {
		list[i] = jsonProblem{
			File: p.Place.File, Line: p.Place.Line, Column: p.Place.Column,
			Severity: p.Severity, Code: p.Code, Message: p.Message, Hint: p.Hint, Fix: p.Fix,
		}
		if r := p.Related; r != nil {
			list[i].Related = &jsonRelated{r.Place.File, r.Place.Line, r.Place.Column, r.Message}
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

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
	FixAt    *jsonRegion  `json:"fix_at,omitempty"`
}

// jsonRegion is what a fix replaces; its end is the place behind its last
// character.
type jsonRegion struct {
	Line      int `json:"line"`
	Column    int `json:"column"`
	EndLine   int `json:"end_line"`
	EndColumn int `json:"end_column"`
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
			File: p.Place.File, Line: max(1, p.Place.Line), Column: max(1, p.Place.Column),
			Severity: p.Severity, Code: p.Code, Message: p.Message, Hint: p.Hint,
		}
		if e, ok := p.Edit(); ok {
			from, to := e.Region.Start, e.Region.End
			list[i].Fix, list[i].FixAt = e.Text, &jsonRegion{from.Line, from.Column, to.Line, to.Column}
		}
		if r := p.Related; r != nil {
			list[i].Related = &jsonRelated{r.Place.File, max(1, r.Place.Line), max(1, r.Place.Column), r.Message}
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

package scenario

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// TextOptions say how a report is shown to people.
type TextOptions struct {
	// Colour paints it for a terminal.
	Colour bool
	// Verbose shows all that happened in each test; Quiet shows only tests that
	// failed, and the sum.
	Verbose, Quiet bool
}

// WriteText shows each test in a line, and what is not as expected at its place.
func WriteText(w io.Writer, r *Report, o TextOptions) error {
	var out bytes.Buffer
	p := diag.Painter(o.Colour)
	took := time.Duration(0)
	for i := range r.Results {
		result := &r.Results[i]
		took += result.Took
		if result.Passed() && o.Quiet && !o.Verbose {
			continue
		}
		word := p.Paint(diag.Green, "ok  ")
		if !result.Passed() {
			word = p.Paint(diag.Red, "FAIL")
		}
		fmt.Fprintf(&out, "%s  %s %s\n", word, diag.Printable(result.Name),
			p.Paint(diag.Faint, "("+rounded(result.Took)+")"))
		if o.Verbose {
			writeTold(&out, result.Told, p)
		}
		for _, f := range result.Failures {
			if err := writeFailure(&out, f, p); err != nil {
				return err
			}
		}
		if !result.Passed() {
			out.WriteString("\n")
		}
	}
	failed := r.Failed()
	switch {
	case r.Tests == 0:
		out.WriteString("there are no tests: add a tests: block\n")
	case failed > 0:
		fmt.Fprintf(&out, "%s %d of %s (%s)\n", p.Paint(diag.Red, "failed:"), failed,
			diag.Count(len(r.Results), "test"), rounded(took))
	default:
		fmt.Fprintf(&out, "%s %s (%s)\n", p.Paint(diag.Green, "passed:"), diag.Count(len(r.Results), "test"),
			rounded(took))
	}
	_, err := w.Write(out.Bytes())
	return err
}

// writeFailure shows one failure, with the place, both values, and the hint.
func writeFailure(w io.Writer, f Failure, p diag.Painter) error {
	var text bytes.Buffer
	if err := diag.Write(&text, diag.FormatText, diag.Problems{{Place: f.Place, Severity: diag.Error,
		Message: f.Message}}, bool(p)); err != nil {
		return err
	}
	writeDiff(&text, "    ", f.Want, f.Got, p)
	if f.Hint != "" {
		fmt.Fprintf(&text, "hint: %s\n", diag.Printable(f.Hint))
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprint(w, "  ", line); err != nil {
			return err
		}
	}
	return nil
}

// maxAlike is how many events of one kind in a row are shown one by one.
const maxAlike = 6

// writeTold shows what happened, in columns; of many calls in a row that went
// alike the first and the last.
func writeTold(w io.Writer, told []Told, p diag.Painter) {
	after, record, sink := 0, 0, 0
	for _, t := range told {
		after = max(after, len(sinceStart(t.After)))
		record, sink = max(record, len(t.Record)), max(sink, len(t.Sink))
	}
	line := func(t Told) {
		text := fmt.Sprintf("%*s  %-*s  %-*s  %s", after, sinceStart(t.After), record, t.Record, sink, t.Sink,
			diag.Printable(t.Text))
		fmt.Fprintf(w, "      %s\n", p.Paint(diag.Faint, text))
	}
	for len(told) > 0 {
		n := 1
		for n < len(told) && alike(told[0], told[n]) {
			n++
		}
		if n <= maxAlike {
			line(told[0])
			told = told[1:]
			continue
		}
		line(told[0])
		line(told[1])
		fmt.Fprintf(w, "      %s\n", p.Paint(diag.Faint, fmt.Sprintf("%*s  … %d more like these", after, "", n-3)))
		line(told[n-1])
		told = told[n:]
	}
}

// alike tells whether two events differ in their time, and the number of their
// call, alone.
func alike(a, b Told) bool {
	_, x, isCall := strings.Cut(a.Text, ": ")
	_, y, too := strings.Cut(b.Text, ": ")
	return isCall && too && strings.HasPrefix(a.Text, "call ") && strings.HasPrefix(b.Text, "call ") &&
		a.Record == b.Record && a.Sink == b.Sink && x == y
}

// sinceStart is a time of the test's clock: 9d3s.
func sinceStart(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day || d%day == 0 {
		return yamlconf.FormatDuration(d)
	}
	return yamlconf.FormatDuration(d-d%day) + yamlconf.FormatDuration(d%day)
}

func rounded(d time.Duration) string {
	if d < time.Millisecond {
		return "0ms"
	}
	return d.Round(time.Millisecond).String()
}

// WriteJSON writes an array of results.
func WriteJSON(w io.Writer, r *Report) error {
	type failure struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Path     string `json:"path"`
		Message  string `json:"message"`
		Expected string `json:"expected,omitempty"`
		Got      string `json:"got,omitempty"`
		Hint     string `json:"hint,omitempty"`
	}
	type event struct {
		After  string `json:"after"`
		Record string `json:"record,omitempty"`
		Sink   string `json:"sink,omitempty"`
		Text   string `json:"text"`
	}
	type result struct {
		Name     string    `json:"name"`
		Pipeline string    `json:"pipeline"`
		File     string    `json:"file"`
		Line     int       `json:"line"`
		Column   int       `json:"column"`
		Passed   bool      `json:"passed"`
		Seconds  float64   `json:"seconds"`
		Failures []failure `json:"failures"`
		Events   []event   `json:"events"`
	}
	all := []result{}
	for i := range r.Results {
		from := &r.Results[i]
		to := result{Name: from.Name, Pipeline: from.Pipeline, File: from.Place.File, Line: from.Place.Line,
			Column: from.Place.Column,
			Passed: from.Passed(), Seconds: from.Took.Seconds(), Failures: []failure{}, Events: []event{}}
		for _, f := range from.Failures {
			to.Failures = append(to.Failures, failure{f.Place.File, f.Place.Line, f.Place.Column, string(f.Path),
				f.Message, f.Want, f.Got, f.Hint})
		}
		for _, t := range from.Told {
			to.Events = append(to.Events, event{sinceStart(t.After), t.Record, t.Sink, t.Text})
		}
		all = append(all, to)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

// junit is the form of JUnit that continuous integration reads.
type junit struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes results as JUnit XML, one suite a file.
func WriteJUnit(w io.Writer, r *Report) error {
	doc := junit{Tests: len(r.Results), Failures: r.Failed()}
	at := map[string]int{}
	took := map[string]time.Duration{}
	all := time.Duration(0)
	for i := range r.Results {
		result := &r.Results[i]
		file := result.Place.File
		if _, ok := at[file]; !ok {
			at[file] = len(doc.Suites)
			doc.Suites = append(doc.Suites, junitSuite{Name: file})
		}
		suite := &doc.Suites[at[file]]
		suite.Tests++
		took[file] += result.Took
		all += result.Took
		c, err := junitOf(result)
		if err != nil {
			return err
		}
		if c.Failure != nil {
			suite.Failures++
		}
		suite.Time = seconds(took[file])
		suite.Cases = append(suite.Cases, c)
	}
	doc.Time = seconds(all)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitOf(r *Result) (junitCase, error) {
	c := junitCase{Class: r.Pipeline, Name: r.Name, File: r.Place.File, Line: r.Place.Line, Time: seconds(r.Took)}
	if r.Passed() {
		return c, nil
	}
	var text, told bytes.Buffer
	for _, f := range r.Failures {
		if err := writeFailure(&text, f, false); err != nil {
			return c, err
		}
	}
	writeTold(&told, r.Told, false)
	first := r.Failures[0]
	c.Failure = &junitFailure{Message: first.Place.String() + ": " + first.Message, Text: text.String()}
	c.Out = told.String()
	return c, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

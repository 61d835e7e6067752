package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/kafka"
	"github.com/millrace/millrace/pipeline/preview"
	"github.com/millrace/millrace/pipeline/secrets"
)

// evalFlags are those of `millrace eval`.
type evalFlags struct {
	input    string
	at       string
	pipeline string
	values   bool
	raw      bool
	pid      int
}

func (a *app) evalCommand() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use: "eval EXPR", Short: "Try an expression, or a template with ${…}, on records",
		Long: `Eval prints what an expression yields, as JSON, one line a record. Text that holds
${…} and is no expression is a template. Records come from standard input or
--input, as JSON, one a line, such as {"payload": {"total": 5}}, with --values as
bare values; or from a topic by --at. An expression that uses no part of a record
needs none. A record for which it fails is told on standard error, and the exit code
is then 1; an expression that is wrong by itself is wrong usage, 2.

--pipeline compiles it as that pipeline would: with its format, its file(...) paths,
and its topic's schema.`,
		Example: `  echo '{"payload": {"total": 19.99}}' | millrace eval 'int(round(payload.total * 100))'
  millrace eval 'notification:${payload.order_id}' --at order_invoices/3/120
  echo '{"total": 5}' | millrace eval --values payload.total`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("it takes one expression, in quotes, and was given %s", count(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if f.at != "" && (f.input != "" || f.values) {
				return usageError{errors.New("--at names one record; it excludes --input and --values")}
			}
			return a.eval(ctx, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.input, "input", "", "read records from this file; - is stdin")
	flags.StringVar(&f.at, "at", "", "evaluate on the record at topic/partition/offset")
	flags.StringVar(&f.pipeline, "pipeline", "", "compile it as an expression of this pipeline")
	flags.BoolVar(&f.values, "values", false, "each line is a record's value, its bytes as they stand")
	flags.BoolVarP(&f.raw, "raw", "r", false, "print text without quotes")
	flags.IntVar(&f.pid, "pid", 0, "which process, where several run")
	return cmd
}

func (a *app) eval(ctx context.Context, source string, f evalFlags) error {
	scope, err := a.evalScope(f.pipeline)
	if err != nil {
		return err
	}
	e, err := compileEval(scope, source)
	if err != nil {
		return err
	}
	e.app, e.raw = a, f.raw
	for _, warning := range e.warnings {
		fmt.Fprintln(a.err, "warning: "+warning)
	}
	switch {
	case f.at != "":
		err = a.evalAt(ctx, e, f)
	case f.input == "" && e.alone:
		err = e.show(&handlers.Record{Partition: -1, Offset: -1}, "")
	case f.input == "" && terminal(a.in):
		return usageError{errors.New("the expression uses a record: pipe records to it, or give --input or --at")}
	default:
		err = a.evalInput(ctx, e, f)
	}
	if err == nil && e.failed > 0 {
		err = fmt.Errorf("the expression failed for %d of %s", e.failed, count(e.records, "record"))
	}
	return err
}

// evalScope is a scope of its own, or a pipeline's.
func (a *app) evalScope(name string) (*expression.Scope, error) {
	if name != "" {
		named := []string{name}
		part, err := a.loadPart(only("topics", pipelinePath(named)))
		if err != nil {
			return nil, err
		}
		chosen, err := choose(part.Plan, named)
		if err != nil {
			return nil, a.notThere(part, err)
		}
		return chosen[0].Scope, nil
	}
	env, err := a.environment()
	if err != nil {
		return nil, err
	}
	file := func(name string) (string, error) {
		text, err := files.Read(name, files.MaxBytes)
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), err
	}
	return expression.NewScope(expression.Options{Format: expression.FormatJSON, Limits: a.limits(),
		Constants: expression.Constants{Env: env, File: file}}), nil
}

// evaluation is an expression or a template, and how it fared so far.
type evaluation struct {
	app    *app
	source string
	alone  bool // it reads nothing of a record
	secret bool
	raw    bool
	in     *expression.Input
	value  func(in *expression.Input) (json.RawMessage, error)

	warnings        []string
	records, failed int
}

// inQuotes is text of an expression, in which ${ begins nothing.
var inQuotes = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// compileEval compiles an expression or, where that is none, a template. Where ${ stands in
// the quotes of what is neither, an expression was meant.
func compileEval(scope *expression.Scope, source string) (*evaluation, error) {
	e := &evaluation{source: source}
	x, findings := scope.Expression(source)
	if x != nil {
		e.alone, e.secret = len(x.Reads(scope.NewInput())) == 0, x.Secret()
		e.value = func(in *expression.Input) (json.RawMessage, error) { return x.AppendJSON(nil, in) }
	}
	if x == nil && strings.Contains(source, "${") {
		t, found := scope.Template(source, expression.PlaceText)
		reads := t != nil && len(t.Reads(scope.NewInput())) > 0
		if reads || strings.Contains(inQuotes.ReplaceAllString(source, ""), "${") {
			findings = found
		} else {
			t = nil
		}
		if t != nil {
			e.alone, e.secret = !reads, t.Secret()
			e.value = func(in *expression.Input) (json.RawMessage, error) {
				text, err := t.Text(in)
				return quoted(text), err
			}
		}
	}
	for _, f := range findings {
		text := f.Message + "\n" + caret(source, f.Offset, f.End)
		if f.Hint != "" {
			text += "\nhint: " + f.Hint
		}
		if f.Warning {
			e.warnings = append(e.warnings, text)
			continue
		}
		return nil, usageError{errors.New(text)}
	}
	e.in = scope.NewInput()
	return e, nil
}

// quoted is text as JSON.
func quoted(text string) json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // neither text nor a buffer can make it fail
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// caret shows where in the source something is, below the line that it is on.
func caret(source string, from, to int) string {
	from = min(max(from, 0), len(source))
	to = min(max(to, from), len(source))
	start := strings.LastIndexByte(source[:from], '\n') + 1
	line, _, _ := strings.Cut(source[start:], "\n")
	to = min(to, start+len(line))
	under := strings.Repeat("^", max(1, utf8.RuneCountInString(source[from:max(from, to)])))
	before := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, source[start:from])
	return "  " + line + "\n  " + before + under
}

// show evaluates on one record. A failure is told and counted.
func (e *evaluation) show(rec *handlers.Record, where string) error {
	e.records++
	// A value that can't be read is an error only where the payload is used.
	_ = e.in.Load(rec)
	value, err := e.value(e.in)
	if err != nil {
		err = e.app.redactor.Error(err)
		e.failed++
		if where != "" {
			where += ": "
		}
		text := err.Error()
		if from, to, ok := within(e.source, text); ok {
			text += "\n" + caret(e.source, from, to)
		}
		_, err = fmt.Fprintf(e.app.err, "%s%s\n", where, text)
		return err
	}
	switch {
	case e.secret:
		value = quoted(secrets.Redacted)
	case e.app.redactor != nil:
		value = e.app.redactor.JSON(value)
	}
	var plain string
	if e.raw && json.Unmarshal(value, &plain) == nil && len(value) > 0 && value[0] == '"' {
		value = json.RawMessage(plain)
	}
	_, err = e.app.out.Write(append(value, '\n'))
	return err
}

// within finds what an error is about in the source: errors begin with the part
// of the expression that they are about, as it is written there.
func within(source, message string) (from, to int, ok bool) {
	for end := len(message); end > 0; end = strings.LastIndexAny(message[:end], " :") {
		part := strings.TrimRight(message[:end], " :")
		if part == "" || strings.HasSuffix(part, " is") {
			continue
		}
		if at := strings.Index(source, part); at >= 0 {
			return at, at + len(part), true
		}
	}
	return 0, 0, false
}

// evalInput evaluates on each line of the input.
func (a *app) evalInput(ctx context.Context, e *evaluation, f evalFlags) error {
	in, name := io.NopCloser(a.in), "<stdin>"
	if f.input != "" && f.input != "-" {
		file, err := files.OpenGiven(f.input)
		if err != nil {
			return fmt.Errorf("--input: %w", err)
		}
		in, name = file, f.input
	}
	defer in.Close()
	lines := bufio.NewReaderSize(in, 1<<16)
	now := time.Now()
	for n := 1; ctx.Err() == nil; n++ {
		line, err := files.Line(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if text := bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(text)) > 0 {
			rec, wrong := evalRecord(text, f.values, now)
			if wrong != nil {
				return fmt.Errorf("%s:%d: %w", name, n, wrong)
			}
			if err := e.show(rec, fmt.Sprintf("%s:%d", name, n)); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
	}
	return nil
}

func evalRecord(line []byte, value bool, now time.Time) (*handlers.Record, error) {
	if value {
		return &handlers.Record{Value: line, Time: now}, nil
	}
	rec, err := handlers.DecodeJSON(line, handlers.Record{Time: now})
	if err != nil {
		err = fmt.Errorf(`%w; a line is a record such as {"payload": …}, or with --values a bare value`, err)
	}
	return rec, err
}

// evalAt evaluates on a record of a topic.
func (a *app) evalAt(ctx context.Context, e *evaluation, f evalFlags) (err error) {
	at, err := parsePlace(f.at)
	if err != nil {
		return usageError{fmt.Errorf("--at: %w", err)}
	}
	c, err := a.connectToRead(ctx, f.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	log, err := a.clientLogger()
	if err != nil {
		return err
	}
	topics := preview.Topics{Settings: c.settings, Admin: c.admin, Deps: kafka.Deps{Logger: log}}
	rec, err := topics.One(ctx, at.Topic, at.Partition, at.Offset)
	if err != nil {
		return err
	}
	return e.show(rec, at.String())
}

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/expression"
	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/secrets"
	"github.com/millrace/millrace/pipeline/shape"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// Options are what loading uses of its process.
type Options struct {
	// Env returns a variable and whether it is set; nil is os.LookupEnv.
	Env func(name string) (string, bool)
	// EnvNames are the variables that are set, so that the nearest one of what
	// is not can be named; with a nil Env they are those of the process.
	EnvNames []string
	// SkipEnv takes unset variables and missing files of file(...) as unknown
	// text: what depends on them is not checked, and the plan can't be run.
	SkipEnv bool
	// Stdin is read for the file `-`.
	Stdin io.Reader
	// Texts stand for the texts of files, by the names that they are given by;
	// a file that is not among them is read.
	Texts map[string][]byte

	// Uses, where set, tells which problems matter: a file may hold others.
	Uses func(diag.Problem) bool
}

// Config is what one or several files say, decoded but not yet understood.
type Config struct {
	// Files are the files in the order given, a folder's in the order of their
	// names.
	Files []*File
	// Digest is the SHA-256 of the files' bytes, in hex, without what is secret in
	// them: whoever may read it could try out passwords.
	Digest string

	Problems  diag.Problems
	Constants map[*File]expression.Constants
	EnvNames  []string
	// Fragment tells that there need not be anything to run.
	Fragment bool
	// SkipEnv is config.Options.SkipEnv.
	SkipEnv bool
}

// File is one file of a configuration.
type File struct {
	// Name is how the file is called in problems; Dir the folder that its
	// relative paths are relative to.
	Name, Dir string
	// Source knows the places of the file.
	Source *diag.Source
	// Blocks are what the file says.
	Blocks Blocks

	Secrets map[diag.Path]string
	// included are the texts of file(...), of secret variables, and what is computed
	// of those; they are complete once everything was compiled.
	included *[]string
	Unknown  map[diag.Path]bool
	Schemas  map[diag.Path]*shape.Document
}

// Secrets are all values of the files that no output shows: complete once everything
// was compiled.
func (c *Config) Secrets() []string {
	var all []string
	for _, f := range c.Files {
		all = slices.AppendSeq(all, maps.Values(f.Secrets))
		if f.included != nil {
			all = append(all, *f.included...)
		}
	}
	return all
}

// Read reads and decodes files. It returns a nil Config where a file could not
// be read as YAML at all; otherwise Compile may find more.
func Read(files []string, o Options, registry handlers.Registry) (*Config, diag.Problems) {
	r := newReader(o, registry)
	digest := sha256.New()
	usable := true
	for _, name := range r.expand(files) {
		text, err := o.Text(name)
		if err == nil && IsMarkdown(name) {
			err = errMarkdown
		}
		if err != nil {
			r.problems.Add(unreadable(name, err))
			usable = false
			continue
		}
		source := diag.NewSource(DisplayName(name), text)
		usable = r.file(name, source) && usable
		digest.Write(source.Masked())
	}
	r.config.Digest = hex.EncodeToString(digest.Sum(nil))
	return r.finish(usable)
}

// finish checks what files say together, and tells what was read.
func (r *reader) finish(usable bool) (*Config, diag.Problems) {
	if usable && len(r.config.Files) > 0 {
		r.together()
	}
	r.problems.Sort()
	if !usable || len(r.config.Files) == 0 {
		secrets.New(r.config.Secrets(), false).Problems(r.problems)
		return nil, r.problems
	}
	r.config.Problems = r.problems
	return r.config, r.problems
}

type reader struct {
	options  Options
	registry handlers.Registry
	levels   yamlconf.Levels
	// vocabulary tells what may be shown of what has no place.
	vocabulary *yamlconf.Vocabulary
	config     *Config
	problems   diag.Problems
	// pipelines counts those of all files.
	pipelines int
}

func newReader(o Options, registry handlers.Registry) *reader {
	if o.Env == nil {
		o.Env = os.LookupEnv
		for _, pair := range os.Environ() {
			name, _, _ := strings.Cut(pair, "=")
			o.EnvNames = append(o.EnvNames, name)
		}
	}
	levels := yamlconf.LevelsOf(Blocks{})
	for _, kind := range registry.Kinds() {
		levels[kind] = append(levels[kind], "pipelines.<name>.sinks", "pipelines.<name>.routes.sinks")
	}
	return &reader{options: o, registry: registry, levels: levels, vocabulary: yamlconf.VocabularyOf(Blocks{}, registry),
		config: &Config{Constants: map[*File]expression.Constants{}, EnvNames: o.EnvNames, SkipEnv: o.SkipEnv}}
}

func unreadable(name string, err error) diag.Problem {
	return diag.Problem{Place: diag.Place{File: DisplayName(name)}, Code: diag.CodeUnreadable, Message: files.Reason(err)}
}

// expand replaces folders by the configuration files in them.
func (r *reader) expand(names []string) []string {
	var filess []string
	for _, name := range names {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.IsDir() {
			filess = append(filess, name)
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			r.problems.Add(diag.Problem{Place: diag.Place{File: name}, Code: diag.CodeUnreadable, Message: files.Reason(err)})
			continue
		}
		count := len(filess)
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
				filess = append(filess, filepath.Join(name, e.Name()))
			}
		}
		if len(filess) == count {
			r.problems.Add(diag.Problem{Place: diag.Place{File: name}, Code: diag.CodeUnreadable, Message: "the folder has no *.yaml or *.yml file"})
		}
	}
	return filess
}

// Text reads a file, and a little more than the limit of one that is too long.
func (o Options) Text(name string) ([]byte, error) {
	if text, ok := o.Texts[name]; ok {
		return text, nil
	}
	if name == "-" {
		if o.Stdin == nil {
			return nil, errors.New("there is no standard input")
		}
		return io.ReadAll(io.LimitReader(o.Stdin, yamlconf.MaxBytes+2))
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(files.Patient(f), yamlconf.MaxBytes+2))
}

// file parses and decodes one file, and tells whether it is YAML.
func (r *reader) file(name string, source *diag.Source) bool {
	document, problems := yamlconf.ParseSource(source, r.vocabulary)
	if document == nil && r.options.Uses != nil {
		document, problems = r.withoutBroken(source, problems)
	}
	r.problems = append(r.problems, problems...)
	if document == nil {
		return false
	}
	if r.pipelines += document.Count("pipelines"); r.pipelines > maxPipelines {
		r.problems.Add(diag.Problem{Path: "pipelines", Place: document.Source.Whole(), Code: diag.CodeRange,
			Message: "there are more than 1,000 pipelines", Hint: "run them in several processes"})
		return false
	}
	document.MaskSecrets()
	f := &File{Name: DisplayName(name), Dir: dirOf(name), Source: document.Source}
	if slices.ContainsFunc(r.config.Files, func(other *File) bool { return other.Name == f.Name }) {
		r.problems.Add(diag.Problem{Place: document.Source.Whole(), Code: diag.CodeRepeated, Message: "the file is given twice"})
		return false
	}
	f.included = new([]string)
	constants := expression.Constants{Env: r.options.Env, File: readerOf(f.Dir), Secret: noting(f.included), Skip: r.options.SkipEnv}
	decoder := yamlconf.NewDecoder(document, yamlconf.Options{Constants: constants, Dir: f.Dir, Levels: r.levels, Spellings: spellings(), Registry: r.registry, Vocabulary: r.vocabulary})
	if root := document.Root(); root.IsNull() {
		decoder.Defaults(&f.Blocks)
	} else {
		decoder.Decode(root, &f.Blocks)
	}
	f.Secrets, f.Unknown = decoder.Secrets(), decoder.Unknown()
	r.problems = append(r.problems, decoder.Problems()...)
	f.Schemas = map[diag.Path]*shape.Document{}
	r.schemas(f)
	r.certificates(f)
	r.config.Files = append(r.config.Files, f)
	r.config.Constants[f] = constants
	return true
}

// dirOf is the folder that a file's relative paths are relative to: its own, or
// for a pipe, which lies in none, the one of the process.
func dirOf(name string) string {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "."
	}
	return filepath.Dir(name)
}

// readerOf reads files for file(...), relative to a folder.
func readerOf(dir string) func(string) (string, error) {
	return func(name string) (string, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		text, err := files.Read(name, files.MaxBytes)
		if err != nil {
			return "", fmt.Errorf("read %s: %s", name, files.Reason(err))
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
	}
}

// DisplayName is how a file is called in problems.
func DisplayName(name string) string {
	if name == "-" {
		return "<stdin>"
	}
	return name
}

// noting notes each text once.
func noting(into *[]string) func(string) {
	return func(text string) {
		if !slices.Contains(*into, text) {
			*into = append(*into, text)
		}
	}
}

package compile_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/handlers"
	"github.com/millrace/millrace/handlers/builtin"
	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/config"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

func TestHandlerExamplesAreWholeFiles(t *testing.T) {
	registry := builtin.Registry()
	for kind, spec := range registry {
		h := config.DescribeHandler(spec)
		options := config.Options{Env: func(string) (string, bool) { return "", false }, Stdin: strings.NewReader(h.Example)}
		plan, problems := compile.Load([]string{"-"}, options, registry)
		if len(problems) > 0 {
			t.Errorf("%s: %v\n%s", kind, problems, h.Example)
			continue
		}
		if got := plan.Pipelines[0].Routes[0].Sinks[0].Kind; got != kind {
			t.Errorf("the example of %s is one of %s", kind, got)
		}
		if h.Summary == "" || h.Delivery == "" || !strings.HasSuffix(h.Summary, ".") {
			t.Errorf("%s lacks a summary or its delivery: %+v", kind, h)
		}
	}
}

// Doc texts are read by strangers, in editors as in the reference.
func TestDocTextsAreSentences(t *testing.T) {
	blocks := yamlconf.Reference(new(config.Blocks))
	for kind, spec := range builtin.Registry() {
		for _, b := range config.DescribeHandler(spec).Blocks {
			b.Path = kind + ":" + b.Path
			blocks = append(blocks, b)
		}
	}
	open := regexp.MustCompile("(^|[\\s(])'[^']*$|`")
	for _, b := range blocks {
		if len(b.Keys) == 0 {
			t.Errorf("%s has no keys", b.Path)
		}
		for _, k := range b.Keys {
			at := b.Path + "." + k.Name
			if k.Doc == "" || !strings.HasSuffix(k.Doc, ".") || strings.ToUpper(k.Doc[:1]) != k.Doc[:1] {
				t.Errorf("%s: %q is no sentence", at, k.Doc)
			}
			if open.MatchString(k.Doc) {
				t.Errorf("%s: what is to be typed stands in 'single quotes': %q", at, k.Doc)
			}
			for _, choice := range k.Choices {
				if b.Path != "kafka" && b.Path != "kafka.sasl" && k.Name != "crash" && k.Name != "cleanup" && k.Name != "format" &&
					!strings.Contains(k.Doc, "'"+choice+"'") {
					t.Errorf("%s: the text does not say what %q does", at, choice)
				}
			}
		}
	}
}

func TestConfigReferenceLinksLead(t *testing.T) {
	page := config.ConfigReference(builtin.Registry())
	headings := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		headings[regexp.MustCompile("[^a-z0-9_ -]").ReplaceAllString(strings.ToLower(m[1]), "")]++
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1)
	if len(links) < 20 {
		t.Errorf("only %d links", len(links))
	}
	for _, m := range links {
		if n := headings[strings.ReplaceAll(m[1], "-", " ")]; n != 1 {
			t.Errorf("#%s leads to %d headings", m[1], n)
		}
	}
	for _, path := range []string{"pipelines.<name>.source.fetch", "ingest.routes[]", "topics.<name>"} {
		if !strings.Contains(page, "\n## `"+path+"`\n") {
			t.Errorf("there is no heading for %s", path)
		}
	}
}

func TestMissingHandlers(t *testing.T) {
	all := config.MissingHandlers(handlers.Registry{})
	if len(all) < 4 {
		t.Errorf("of an empty registry are missing only %v", all)
	}
	for _, kind := range config.MissingHandlers(builtin.Registry(handlers.Spec{Kind: "sql"})) {
		if kind == "sql" {
			t.Error("a registered kind is not missing")
		}
	}
}

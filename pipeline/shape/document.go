package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/pipeline/diag"
	"github.com/millrace/millrace/pipeline/files"
	"github.com/millrace/millrace/pipeline/yamlconf"
)

// SchemaVocabulary are the words of JSON Schema behind which a line of a file is shown
// that is to be one: it may be any other file of JSON.
func SchemaVocabulary() *yamlconf.Vocabulary {
	return yamlconf.NewVocabulary([]string{"$schema", "$ref", "$id", "type", "format", "pattern", "required", "properties", "items", "minimum", "maximum",
		"minLength", "maxLength", "minItems", "maxItems", "anyOf", "allOf", "oneOf", "additionalProperties", "$defs", "definitions"},
		[]string{"object", "array", "string", "number", "integer", "boolean"})
}

// Fault is why a schema can't be used; source and at are its own place
// where that is known.
type Fault struct {
	Message string
	Source  *diag.Source
	At      int
}

// Document is a JSON Schema file with all that it refers to: a compiled one
// changes with its use, so that it may be compiled again.
type Document struct {
	Schema *jsonschema.Schema
	// Location is the address of the file, and files hold what was read by
	// addresses.
	Location string
	files    map[string]any
}

// Content is what the file and those that it refers to say, the same however they are
// laid out.
func (d *Document) Content() ([]byte, error) { return json.Marshal(d.files) }

// Load returns what was read from an address, or reads it: other files, never the
// network.
func (d *Document) Load(address string) (any, error) {
	if document, ok := d.files[address]; ok {
		return document, nil
	}
	name, err := jsonschema.FileLoader{}.ToFile(address)
	if err != nil {
		return nil, err
	}
	text, err := files.Read(name, files.MaxBytes)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		d.files[address] = document
	}
	return document, err
}

// Compile compiles a JSON Schema file.
func Compile(name string) (*Document, *Fault) {
	text, err := files.Read(name, files.MaxBytes)
	if err != nil {
		return nil, &Fault{Message: files.Reason(err)}
	}
	source := diag.NewSource(name, text)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source.Text()))
	if err != nil {
		if !bytes.HasPrefix(bytes.TrimSpace(source.Text()), []byte("{")) {
			// It may be any file, whose lines are not to be shown.
			return nil, &Fault{Message: "it is not JSON: it does not begin with {"}
		}
		at := len(source.Text())
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = max(0, int(syntax.Offset)-1)
		}
		return nil, &Fault{"the schema is not JSON: " + OneLine(err), source, at}
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, &Fault{Message: OneLine(err)}
	}
	location := (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}).String()
	compiler, all := jsonschema.NewCompiler(), &Document{Location: location, files: map[string]any{location: document}}
	compiler.UseLoader(all)
	if all.Schema, err = compiler.Compile(location); err != nil {
		return nil, schemaError(err, source, location, name)
	}
	return all, nil
}

// schemaError says what the compiler found, without its address of the file.
func schemaError(err error, source *diag.Source, location, name string) *Fault {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok && strings.TrimSuffix(invalid.URL, "#") == location {
		message, pointer := firstCause(invalid.Err)
		return &Fault{"this is no JSON Schema: " + message, source, pointerOffset(source, pointer)}
	}
	if missing, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		other := strings.TrimPrefix(missing.URL, location[:strings.LastIndex(location, "/")+1])
		return &Fault{Message: fmt.Sprintf("it refers to %s: %s", other, files.Reason(missing.Err))}
	}
	return &Fault{Message: strings.ReplaceAll(OneLine(err), location, filepath.Base(name))}
}

// firstCause is the innermost of what a JSON Schema check found first, and where
// in the document.
func firstCause(err error) (message string, pointer []string) {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return OneLine(err), nil
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	text := invalid.Error()
	text = OneLine(errors.New(text[strings.LastIndex(text, "\n- ")+len("\n- "):]))
	return strings.TrimPrefix(text, "at "), invalid.InstanceLocation
}

// pointerOffset is the byte at which a value of a JSON document stands.
func pointerOffset(source *diag.Source, pointer []string) int {
	var root yaml.Node
	if yaml.Unmarshal(source.Text(), &root) != nil || len(root.Content) == 0 {
		return 0
	}
	n := root.Content[0]
	for _, token := range pointer {
		i, err := strconv.Atoi(token)
		switch {
		case n.Kind == yaml.SequenceNode && err == nil && i < len(n.Content):
			n = n.Content[i]
		case n.Kind == yaml.MappingNode:
			for k := 0; k+1 < len(n.Content); k += 2 {
				if n.Content[k].Value == token {
					n = n.Content[k+1]
					break
				}
			}
		}
	}
	return source.NodeOffset(n)
}

// OneLine is an error whose text may have several lines.
func OneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

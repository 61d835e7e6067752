package cmd

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pipeline/config"
)

//go:embed starter.yaml
var starter []byte

// schemaName is what the first line of starter.yaml refers to.
const schemaName = "pipelines.schema.json"

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [FOLDER]", Short: "Write a first pipelines.yaml to start from",
		Long: `Init writes a first pipelines.yaml, which runs as it is, and beside it the JSON
Schema that its first line names: editors with a YAML language server, such as VS
Code with the YAML extension, then complete keys, show their texts and mark
mistakes. A file that is there already is left as it is.`,
		Example: `  millrace init
  millrace init shop && cd shop && millrace run`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.configFiles()[0]
			if len(args) == 1 {
				path = filepath.Join(args[0], "pipelines.yaml")
			}
			return a.writeStarter(path)
		},
	}
}

func (a *app) writeStarter(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is; name another folder: millrace init FOLDER", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(starter)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	schema := filepath.Join(filepath.Dir(path), schemaName)
	if err := a.writeSchema(schema); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "wrote %s, and %s for editors\ncheck it with `millrace validate -f %s` and run it "+
		"with `millrace run -f %s`\n", path, schema, path, path)
	return err
}

// writeSchema writes the JSON Schema over an older one, and over nothing else.
func (a *app) writeSchema(path string) error {
	schema, err := config.JSONSchema(a.registry)
	if err != nil {
		return err
	}
	there, err := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && !bytes.Contains(there, []byte("millrace schema; DO NOT EDIT")):
		return fmt.Errorf("%s is there already and not of millrace: move it, and run `millrace schema > %s`", path,
			path)
	}
	return os.WriteFile(path, schema, 0o644)
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the configuration's JSON Schema, for editors",
		Long: `Schema prints the JSON Schema of the configuration as this binary understands it.
Put it beside your files and name it in their first line, and editors with a YAML
language server complete keys, show their texts and mark mistakes:

  # yaml-language-server: $schema=pipelines.schema.json

Run it again after an upgrade.`,
		Example: `  millrace schema > pipelines.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.JSONSchema(a.registry)
			if err != nil {
				return err
			}
			_, err = a.out.Write(schema)
			return err
		},
	}
}

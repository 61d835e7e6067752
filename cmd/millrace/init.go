package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed starter.yaml
var starter []byte

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [FOLDER]", Short: "Write a first pipelines.yaml to start from",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.configFiles()[0]
			if len(args) == 1 {
				path = filepath.Join(args[0], "pipelines.yaml")
				if err := os.MkdirAll(args[0], 0o755); err != nil {
					return err
				}
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
			_, err = fmt.Fprintf(a.out, "wrote %s; check it with `millrace validate -f %s` and run it with `millrace run -f %s`\n", path, path, path)
			return err
		},
	}
}

package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/pipeline/compile"
	"github.com/millrace/millrace/pipeline/diag"
)

// fix shows the certain mends of the configuration, and writes them after a yes.
func (a *app) fix(flags validateFlags) error {
	files := a.configFiles()
	if flags.format != diag.FormatText {
		return usageError{errors.New("--fix shows a diff and takes no --format")}
	}
	if slices.Contains(files, "-") {
		if len(files) > 1 {
			return usageError{errors.New("--fix of standard input prints its mended text, and takes no further file")}
		}
	}
	mended, err := compile.Mend(files, flags.options, a.registry)
	if err != nil {
		return err
	}
	if slices.Contains(files, "-") {
		return a.mendStdin(flags, mended)
	}
	for _, c := range mended.Changes {
		if _, err := a.out.Write(c.Diff); err != nil {
			return err
		}
	}
	wrote, err := a.writeMends(mended, flags.yes)
	if err != nil {
		return err
	}
	left := mended.Before
	if wrote || len(mended.Changes) == 0 {
		left = mended.Left
	}
	return a.afterFix(mended, left, wrote, flags.strict)
}

// mendStdin prints what standard input would be after the mends.
func (a *app) mendStdin(flags validateFlags, mended compile.Mended) error {
	text := flags.options.Texts["-"]
	if len(mended.Changes) > 0 {
		text = mended.Changes[0].After
	}
	if _, err := a.out.Write(text); err != nil {
		return err
	}
	return a.afterFix(mended, mended.Left, true, flags.strict)
}

// afterFix says on standard error how it stands, and shows the problems that no
// mend takes away.
func (a *app) afterFix(mended compile.Mended, left diag.Problems, wrote, strict bool) error {
	if len(mended.Left) > 0 {
		if err := diag.Write(painted(a.err), diag.FormatText, mended.Left, colour(a.err)); err != nil {
			return err
		}
	}
	if !a.quiet {
		verb := "would be mended"
		if wrote {
			verb = "mended"
		}
		if _, err := fmt.Fprintf(a.err, "%s: %s left\n", count(mended.Count, "problem")+" "+verb,
			count(len(mended.Left), "problem")); err != nil {
			return err
		}
	}
	if invalid(left, strict) {
		return errInvalid
	}
	return nil
}

// writeMends writes the changed files after a yes, and tells whether it did.
func (a *app) writeMends(mended compile.Mended, yes bool) (bool, error) {
	if len(mended.Changes) == 0 || !yes && (!a.canAsk() || !a.ask(fmt.Sprintf("write %s to %s? [y/N] ",
		count(mended.Count, "mend"), count(len(mended.Changes), "file")))) {
		return false, nil
	}
	for _, c := range mended.Changes {
		if err := replaceFile(c.Name, c.Before, c.After); err != nil {
			return false, fmt.Errorf("write %s: %w", c.Name, err)
		}
	}
	return true, nil
}

// replaceFile replaces the text of a file at once, and keeps its mode. A file
// that is no longer as it was read stays.
func replaceFile(name string, before, after []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, before) {
		return errors.Join(err, errors.New("the file was changed meanwhile"))
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(after)
	err = errors.Join(err, temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

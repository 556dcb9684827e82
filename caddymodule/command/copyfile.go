package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// writeCopy writes a copy to a file that only its owner may read, under its name
// only when it is whole and durable. It replaces no file.
func writeCopy(stdout io.Writer, name string, from io.Reader) (n int64, err error) {
	if name == "-" {
		return io.Copy(stdout, from)
	}
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-*") // 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if gone := os.Remove(part.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	n, err = io.Copy(part, from)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return n, fmt.Errorf("writing %s: %w", name, err)
	}
	if err := nameFile(part.Name(), name); err != nil {
		return n, err
	}
	if err := syncFolder(filepath.Dir(name)); err != nil {
		return n, fmt.Errorf("%s is whole, but may be gone after a power cut: %w", name, err)
	}
	return n, nil
}

// nameFile gives a file another name, unless that is taken. Unlike a rename, a link
// replaces nothing that was made meanwhile. Where the file system knows no links an
// empty file holds the name until the rename replaces it.
func nameFile(file, name string) error {
	err := os.Link(file, name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return errFileExists(name)
	}
	held, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errFileExists(name)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(held.Close(), os.Rename(file, name)); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func errFileExists(name string) error { return fmt.Errorf("%s exists; name another file", name) }

// syncFolder makes a new name in a folder outlive a power cut, where that can be
// asked for.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

package embeddedstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Generation returns the number in the small file beside the store, named
// like it with ".generation" added, or 0 if there is no such file. Package
// kv/sealed keeps it to notice that an older copy of the store was put back.
func (s *Store) Generation() (uint64, error) { return generation(s.path) }

// SetGeneration replaces that number, durably and all or nothing.
func (s *Store) SetGeneration(n uint64) error { return setGeneration(s.path, n) }

func generation(path string) (uint64, error) {
	name := path + ".generation"
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading generation: %w", advise(err))
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(data), "\n"), 10, 64)
	// As it was written: of half a number, a smaller one would be read, which
	// hides that an older copy was put back.
	if err != nil || string(data) != strconv.FormatUint(n, 10)+"\n" {
		return 0, fmt.Errorf("reading generation: %s holds no number; if the store beside it is not an old copy, delete this file", name)
	}
	return n, nil
}

func setGeneration(path string, n uint64) error {
	name := path + ".generation"
	if err := replace(name, strconv.AppendUint(nil, n, 10)); err != nil {
		return fmt.Errorf("writing generation: %w", advise(err))
	}
	return nil
}

// replace writes line to a new file, then gives it the name. The lock on the store
// keeps others from it; a name of its own each time would make each failure
// another one, which is alarmed about anew, and leave a file behind at each crash.
func replace(name string, line []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

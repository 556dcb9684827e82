// Package overlay builds and tests this module with changed source while the
// tree stays as it is, by the -overlay flag of the go command. Tests use it to
// plant what they must find: a line that is missing, a delay, a crash.
package overlay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An Overlay is a set of changed and added files.
type Overlay struct {
	root, dir string
	replace   map[string]string // path in the tree → path of its replacement
	written   int               // files in dir
}

// New returns an overlay without changes but those of GOFLAGS: the go command
// takes one overlay only, and what a campaign has planted must be in every
// build that a test starts. Replacements are kept in dir, which must outlive
// the builds. The module is the one around the working directory.
func New(dir string) (*Overlay, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	o := &Overlay{root: root, dir: dir, replace: make(map[string]string)}
	for _, flag := range strings.Fields(os.Getenv("GOFLAGS")) {
		file, found := strings.CutPrefix(flag, "-overlay=")
		if !found {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the overlay of GOFLAGS: %w", err)
		}
		if err := json.Unmarshal(b, &struct{ Replace *map[string]string }{&o.replace}); err != nil {
			return nil, fmt.Errorf("reading the overlay of GOFLAGS: %w", err)
		}
	}
	return o, nil
}

// Root returns the folder of the module.
func (o *Overlay) Root() string { return o.root }

// Read returns a file of the module, named from its root, as the overlay has
// it.
func (o *Overlay) Read(file string) ([]byte, error) {
	path := filepath.Join(o.root, filepath.FromSlash(file))
	if r, ok := o.replace[path]; ok {
		path = r
	}
	return os.ReadFile(path)
}

// Set gives a file, named from the root of the module, another content. The
// file need not exist.
func (o *Overlay) Set(file string, content []byte) error {
	path := filepath.Join(o.root, filepath.FromSlash(file))
	r, ok := o.replace[path]
	if !ok || filepath.Dir(r) != filepath.Clean(o.dir) {
		r = filepath.Join(o.dir, strconv.Itoa(o.written)+"-"+filepath.Base(file))
		o.written++
	}
	if err := os.WriteFile(r, content, 0o600); err != nil {
		return fmt.Errorf("writing a replacement: %w", err)
	}
	o.replace[path] = r
	return nil
}

// Replace puts text in the place of old in a file. It is an error if old does
// not stand there exactly once: the change would not be the one that was meant.
func (o *Overlay) Replace(file, old, text string) error {
	content, err := o.Read(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if n := bytes.Count(content, []byte(old)); n != 1 {
		return fmt.Errorf("%s holds %d times, and not once: %s", file, n, old)
	}
	return o.Set(file, bytes.Replace(content, []byte(old), []byte(text), 1))
}

// Flag returns the flag for go build, go test and go vet.
func (o *Overlay) Flag() (string, error) {
	b, err := json.Marshal(map[string]any{"Replace": o.replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(o.dir, "overlay.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return "-overlay=" + path, nil
}

// moduleRoot returns the nearest folder upwards that holds a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

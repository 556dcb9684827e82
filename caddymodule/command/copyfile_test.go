package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A meddler is a reader that makes a file before it ends.
type meddler struct {
	io.Reader
	file string
}

func (m meddler) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	if err == io.EOF {
		if err := os.WriteFile(m.file, []byte("somebody else's"), 0o600); err != nil {
			return 0, err
		}
	}
	return n, err
}

// A copy replaces no file, also none that is made while it is written.
func TestCopyReplacesNoFile(t *testing.T) {
	for name, from := range map[string]func(file string) io.Reader{
		"before": func(file string) io.Reader {
			os.WriteFile(file, []byte("somebody else's"), 0o600)
			return strings.NewReader("copy")
		},
		"meanwhile": func(file string) io.Reader { return meddler{strings.NewReader("copy"), file} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "reset.db")
			if _, err := writeCopy(io.Discard, file, from(file)); err == nil || !strings.Contains(err.Error(), "exists; name another file") {
				t.Errorf("writing it: %v", err)
			}
			wantOnly(t, dir, "reset.db", "somebody else's")
		})
	}
}

// Of a copy that ends too early nothing is left, and of a whole one only itself.
func TestCopyIsWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "reset.db")
	if _, err := writeCopy(io.Discard, file, io.MultiReader(strings.NewReader("co"), broken{})); err == nil {
		t.Error("half a copy counts as one")
	}
	wantOnly(t, dir, "", "")
	if n, err := writeCopy(io.Discard, file, strings.NewReader("copy")); n != 4 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	wantOnly(t, dir, "reset.db", "copy")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
}

// A broken reader has nothing but an error.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// wantOnly holds that a folder has one file with this text; "" is none.
func wantOnly(t *testing.T, dir, name, text string) {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || strings.Join(names, " ") != name {
		t.Errorf("the folder holds %q, %v; want %q", names, err, name)
	}
	if name != "" {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != text || err != nil {
			t.Errorf("it holds %q, %v", got, err)
		}
	}
}

package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// checkInterval is how often, at most, a lookup looks whether the file has
	// changed.
	checkInterval = time.Second
	// settleTime is how long after its last change a file is read again at
	// each check: two changes within one tick of a coarse clock of a file
	// system have the same time.
	settleTime = 2 * time.Second
	// maxFile bounds the memory that a wrong path can cost.
	maxFile = 64 << 20
)

// errMoving says that the file changed while it was read.
var errMoving = errors.New("file is being written")

// A File is a directory in a CSV file (RFC 4180, UTF-8):
//
//	id,login,email,name,locale
//	42,alice,alice@example.com,Alice,en
//
// The first line names the columns, in any order; name and locale may be
// missing, and others are refused. A person is found by login or by email,
// without regard to the case of ASCII letters. Several rows may share an
// email: up to five are found, in the order of the file, those with an email
// before those without. A row whose email is empty is found by its login. Rows
// with an email that is not valid, or with a login that is empty, longer than 254
// characters or not text, are never found; the log says how many there are.
//
// The file is read again when it has changed, within a second and during a
// lookup; no goroutine runs. If the new one is damaged, which includes a last
// line without its end, as of a file that is half written, the old accounts
// stay and the log says once which line is wrong. It is best replaced by
// renaming a complete file.
//
// A File is safe for concurrent use.
type File struct {
	path  string
	log   *slog.Logger
	table atomic.Pointer[table]

	mu       sync.Mutex  // held by the one lookup that checks the file
	checked  time.Time   // when the file was last looked at
	seen     fs.FileInfo // the file that was last read, well or badly
	settled  bool        // seen cannot change without showing it
	reported string      // the last fault that was logged
}

// NewFile reads a file. An error names the line that is wrong. A nil logger
// logs nothing.
func NewFile(path string, log *slog.Logger) (*File, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &File{path: path, log: log, checked: time.Now()}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("reading directory file %s: %w", path, err)
	}
	return f, nil
}

// Lookup implements [reset.Directory]. It returns no error.
func (f *File) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	f.refresh()
	return f.table.Load().find(login), nil
}

// Rows returns how many accounts the file holds.
func (f *File) Rows() int { return len(f.table.Load().accounts) }

// refresh reads the file again if it has changed. While one lookup does so,
// others go on with the old accounts.
func (f *File) refresh() {
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	now := time.Now()
	if now.Sub(f.checked) < checkInterval {
		return
	}
	f.checked = now
	info, err := os.Stat(f.path)
	if err == nil {
		if f.settled && unchanged(f.seen, info) {
			return
		}
		err = f.read()
	}
	switch {
	case err == nil:
		f.reported = ""
	case errors.Is(err, errMoving):
		// The next check will see it whole.
	case err.Error() != f.reported:
		f.reported = err.Error()
		f.log.Error("directory file cannot be used; the accounts read before stay in use", "file", f.path, "error", err, "alarm", true)
	}
}

// read reads the file and, if all is well with it, puts its accounts in place.
func (f *File) read() error {
	// A FIFO would hold up its reader before anything can be asked of it.
	if info, err := os.Stat(f.path); err != nil {
		return pathless(err)
	} else if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	file, err := os.Open(f.path)
	if err != nil {
		return pathless(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return pathless(err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return pathless(err)
	}
	after, err := file.Stat()
	if err != nil {
		return pathless(err)
	}
	if !unchanged(before, after) {
		return errMoving
	}
	news := f.seen == nil || !unchanged(f.seen, before)
	if news {
		f.reported = "" // somebody has tried again: say again what is wrong
	}
	age := time.Since(before.ModTime())
	f.seen, f.settled = before, age > settleTime || age < 0

	if len(data) > maxFile {
		return fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	t, err := parseTable(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return err
	}
	f.table.Store(t)
	if news {
		f.report(t)
	}
	return nil
}

// report logs what was read, and what of it will never be found.
func (f *File) report(t *table) {
	f.log.Info("directory file read", "file", f.path, "accounts", len(t.accounts))
	if t.left.rows > 0 {
		f.log.Warn("directory file has rows with a login or an email that is not valid, which are left out",
			"file", f.path, "rows", t.left.rows, "first_line", t.left.firstLine)
	}
	if t.crowded.rows > 0 {
		f.log.Warn("directory file has more rows with one login or email than are found by it",
			"file", f.path, "found", reset.MaxAccounts, "rows", t.crowded.rows, "first_line", t.crowded.firstLine)
	}
}

// unchanged says whether two looks at a file saw the same one.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// pathless drops the path from an error, as the caller names it.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

var _ reset.Directory = (*File)(nil)

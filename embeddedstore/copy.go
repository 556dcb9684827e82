package embeddedstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// copySuffix ends the name of a copy that is not, or not yet, a store.
const copySuffix = ".copy"

// A Copy is a checked copy of a store, in a file beside the store that it may
// replace. Whoever has one calls Discard in the end. It is not safe for concurrent
// use.
type Copy struct {
	path  string // of the store
	file  string // of the copy
	store *Store // the copy, for reading; nil once it is closed
	kept  string // where Install has put the previous store
}

// newCopy makes a file beside the store at path, has fill fill it, and checks
// it. The file is locked all the while: see sweep.
func newCopy(ctx context.Context, path string, fill func(*os.File) error) (*Copy, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+copySuffix)
	if err != nil {
		return nil, fmt.Errorf("making a file for it: %w", advise(err))
	}
	c := &Copy{path: path, file: f.Name()}
	err = tryLock(f)
	if err == nil {
		err = fill(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = c.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Discard())
	}
	return c, nil
}

// open opens the file of the copy and checks it. Nothing is written to it.
func (c *Copy) open(ctx context.Context) error {
	s := &Store{path: c.file, log: slog.New(slog.DiscardHandler)}
	if err := s.openBolt(ctx, time.Second); err != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return err
	}
	c.store = s
	return s.Check(ctx)
}

// View reads the copy; see [kv.Store].
func (c *Copy) View(ctx context.Context, fn func(kv.Reader) error) error {
	return c.store.View(ctx, fn)
}

// Discard removes the copy, unless Install has made it the store.
func (c *Copy) Discard() error {
	err := c.close()
	if removed := os.Remove(c.file); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err != nil {
		return fmt.Errorf("discarding copy: %w", err)
	}
	return nil
}

func (c *Copy) close() error {
	s := c.store
	c.store = nil
	switch {
	case s == nil:
		return nil
	case s.broken.Load() != nil:
		return abandon(s.file)
	}
	return guard(s.db.Close)
}

// send writes the copy to w, with empty pages in place of free ones.
func (c *Copy) send(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	used, err := reached(ctx, c.store.file, c.store.pageSize)
	if err != nil {
		return err
	}
	used[0], used[1] = true, true // the meta pages, to which nothing leads
	size := int64(c.store.pageSize)
	total := int64(len(used)) * size
	if progress != nil {
		progress(0, total)
	}
	page := make([]byte, size)
	buffer := make([]byte, 0, chunk)
	for id := range used {
		clear(page)
		if used[id] {
			if _, err := c.store.file.ReadAt(page, int64(id)*size); err != nil {
				return err
			}
		}
		if buffer = append(buffer, page...); len(buffer) < chunk && id < len(used)-1 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		buffer = buffer[:0]
		if progress != nil {
			progress(int64(id+1)*size, total)
		}
	}
	return nil
}

// sweep removes the copies beside a store that a crash has left. One that is
// in use is locked.
func sweep(path string) {
	dir, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return // they take room, and that is all
	}
	for _, entry := range dir {
		if ours, _ := filepath.Match(filepath.Base(path)+".*"+copySuffix, entry.Name()); !ours {
			continue
		}
		f, err := os.OpenFile(filepath.Join(filepath.Dir(path), entry.Name()), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		unused := tryLock(f) == nil
		_ = f.Close()
		if unused {
			_ = os.Remove(f.Name())
		}
	}
}

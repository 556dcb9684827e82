package embeddedstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// keptSuffix ends the name under which Install keeps the previous store.
const keptSuffix = ".before-restore"

const (
	// The pages of a store are as large as those of the system that made it.
	leastPage = 1 << 12
	mostPage  = 1 << 16

	// header is how much of a copy is read before it is believed to be one: both
	// meta pages, for the largest pages that there are.
	header = 2 * mostPage
)

// Receive reads a copy of a store, made by Export or from the file of a store
// that was not in use, into a file beside the store at path, and checks and
// syncs it. The store itself is neither opened nor changed. The error wraps
// [ErrDamaged] if what comes is no store, not a whole one, or a faulty one; what
// its rows hold can be judged only by who has the key.
//
// Its directory is made if missing. What follows the end of the copy is not read.
func Receive(ctx context.Context, path string, r io.Reader) (*Copy, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // so that Install replaces the file and not the link to it
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of store %s: %w", path, advise(err))
	}
	sweep(path)
	c, err := newCopy(ctx, path, func(f *os.File) error {
		return errors.Join(receive(ctx, f, r), advise(f.Sync()))
	})
	if err != nil {
		return nil, fmt.Errorf("receiving a copy for store %s: %w", path, err)
	}
	return c, nil
}

// receive reads as much into f as the copy says of itself.
func receive(ctx context.Context, f *os.File, r io.Reader) error {
	done, err := io.CopyN(f, r, header)
	switch {
	case err != nil && err != io.EOF:
		return fmt.Errorf("reading it: %w", advise(err))
	case done == 0:
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	total, err := length(f)
	if err != nil {
		return err
	}
	done = min(done, total) // what follows does no harm
	for {
		if done == total {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(f, r, min(chunk, total-done))
		done += n
		switch {
		case err == io.EOF:
			return fmt.Errorf("%w: %d bytes of %d are missing at its end", ErrDamaged, total-done, total)
		case err != nil:
			return fmt.Errorf("reading it: %w", advise(err))
		}
	}
}

// length returns how long a store is, by what stands at its beginning.
func length(f *os.File) (int64, error) {
	for size := leastPage; size <= mostPage; size *= 2 {
		found, err := states(f, size)
		if err != nil {
			continue // not of this size
		}
		longest := uint64(0)
		for _, s := range found {
			longest = max(longest, s.pages)
		}
		const most = 1 << 40 // pages; a number beyond it cannot be meant
		if longest < most {
			return int64(longest) * int64(size), nil
		}
	}
	return 0, fmt.Errorf("%w: it does not begin as a store does, or ends too early", ErrDamaged)
}

// Install puts the copy in the place of the store, which must not be open, in
// this process neither: the error wraps [ErrInUse] if it is. The previous store
// is kept, with its rows, under the name that is returned; there is none if there
// was no store. After a crash at any point the store is the one or the other. The
// file of the generation stays as it is.
//
// After an error the store is the previous one.
func (c *Copy) Install() (kept string, err error) {
	if err := c.install(); err != nil {
		return "", fmt.Errorf("putting a copy in the place of store %s: %w", c.path, advise(err))
	}
	return c.kept, nil
}

func (c *Copy) install() error {
	release, err := claim(c.path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	defer release()
	if err := c.close(); err != nil {
		return err
	}
	if missing {
		// Unlike a rename, a link replaces no store that was made meanwhile.
		if err := os.Link(c.file, c.path); err != nil {
			return err
		}
	} else {
		if c.kept, err = keep(c.path); err != nil {
			return err
		}
		if err := os.Rename(c.file, c.path); err != nil {
			return errors.Join(err, os.Remove(c.kept))
		}
	}
	if err := syncDir(filepath.Dir(c.path)); err != nil {
		return errors.Join(err, c.putBack())
	}
	return nil
}

// Undo takes back what Install has done, and the copy is lost.
func (c *Copy) Undo() error {
	release, err := claim(c.path)
	if err == nil {
		defer release()
		err = c.putBack()
	}
	if err != nil {
		return fmt.Errorf("putting back what was store %s and is %s now: %w", c.path, c.kept, advise(err))
	}
	return nil
}

func (c *Copy) putBack() error {
	var err error
	if c.kept == "" {
		err = os.Remove(c.path)
	} else {
		err = os.Rename(c.kept, c.path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(c.path))
}

// Generation is that of the store; see [Store.Generation].
func (c *Copy) Generation() (uint64, error) { return generation(c.path) }

// SetGeneration is that of the store; see [Store.SetGeneration].
func (c *Copy) SetGeneration(n uint64) error { return setGeneration(c.path, n) }

// claim keeps others from opening the store at path until it is released. It
// opens a file that is damaged too.
func claim(path string) (release func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return func() {}, err
	}
	release = func() { _ = f.Close() }
	if err := tryLock(f); err != nil {
		release()
		return func() {}, fmt.Errorf("%w; stop what uses it first", err)
	}
	held, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && !os.SameFile(held, there) {
			err = fmt.Errorf("%w: it was replaced just now; try again", ErrInUse)
		}
	}
	if err != nil || !locks {
		release()
		return func() {}, err
	}
	return release, nil
}

// keep gives the file at path a second, durable name that is not in use, so
// that neither this restore nor one before it loses anything.
func keep(path string) (name string, err error) {
	for n := 1; ; n++ {
		name = path + keptSuffix
		if n > 1 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		switch err := os.Link(path, name); {
		case err == nil:
			if err := syncDir(filepath.Dir(path)); err != nil {
				return "", errors.Join(err, os.Remove(name))
			}
			return name, nil
		case !errors.Is(err, fs.ErrExist):
			return "", fmt.Errorf("keeping the previous store: %w", err)
		}
	}
}

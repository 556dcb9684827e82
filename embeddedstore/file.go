package embeddedstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// walkAtOpen is the size up to which all pages are read when a store is opened,
// so that damage is found before bbolt builds on it: some tenths of a second.
// In a larger one it is found by Check, or when the page is used.
const walkAtOpen = 64 << 20

// open opens the file, after creating it if there is none.
func (s *Store) open(ctx context.Context, timeout time.Duration) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("making its directory: %w", advise(err))
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(s.path); err != nil {
			return fmt.Errorf("creating it: %w", advise(err))
		}
		info, err = os.Stat(s.path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it is a symbolic link to a file that is not there; put that file back, or remove the link to start without any pending reset")
	case err != nil:
		return advise(err)
	case !info.Mode().IsRegular():
		return errors.New("it is not a file; name the file itself")
	case info.Size() == 0:
		// bbolt would take it for new. A store that lost its content must not
		// look like one that never had any.
		return fmt.Errorf("%w: the file is empty; restore it from a backup, or move it away to start without any pending reset", ErrDamaged)
	}
	if err := tighten(s.path, info.Mode(), s.log); err != nil {
		return err
	}

	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = s.openBolt(ctx, timeout)
	var system syscall.Errno
	switch {
	case err == nil, errors.Is(err, ErrMissing), errors.Is(err, ctx.Err()):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w by another process; stop that one, or give each its own file", ErrInUse)
	case errors.As(err, &system):
		return advise(err)
	}
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w; restore the file from a backup, or move it away to start without any pending reset", err)
}

// openBolt opens the existing file and reads it once. bbolt panics on most
// damage; then the file is closed here, or its lock would stay.
func (s *Store) openBolt(ctx context.Context, timeout time.Duration) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if err == nil {
			return
		}
		if s.db != nil {
			_ = guard(s.db.Close)
		}
		if s.file != nil {
			_ = abandon(s.file) // closed already, but for a panic
		}
	}()
	started := time.Now()
	if err := guard(func() error { return s.survey(ctx, timeout) }); err != nil {
		return err
	}
	timeout -= time.Since(started)
	sentry := newSentry(s)
	err = guard(func() error {
		s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
			Timeout: max(timeout, time.Nanosecond), // 0 would wait for ever
			// With 20,000 free pages the map took 880 updates/s of one writer,
			// the array 490.
			FreelistType: bbolt.FreelistMapType,
			// Opening writes nothing: on a full disk, the list of a file that
			// has none might find no room.
			NoFreelistSync: s.unlisted,
			Logger:         sentry,
			OpenFile:       s.openFile,
		})
		return err
	})
	switch {
	case errors.Is(err, ErrDamaged):
		// A panic: of what its meta pages name, bbolt reads no more than this.
		// What it says depends on what lies behind the end of a short file at
		// that moment, and each wording would call the operator again.
		return fmt.Errorf("%w: its list of free pages cannot be read", ErrDamaged)
	case err != nil:
		return err
	}
	s.sentry = sentry
	return guard(func() error { return s.inspect(ctx) })
}

// survey finds out whether the file has a list of free pages. If not, bbolt is
// about to visit all pages that hold rows, and could end the process at one
// that is damaged: that is found here first. bbolt lets go of the file in
// between, but what another process writes then is not damaged.
func (s *Store) survey(ctx context.Context, timeout time.Duration) (err error) {
	db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout:  max(timeout, time.Nanosecond),
		ReadOnly: true, // leaves free pages alone
		OpenFile: s.openFile,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s.pageSize = db.Info().PageSize
	state, err := newest(s.file, s.pageSize)
	if err != nil {
		return err
	}
	if s.unlisted = state.freePages == noFreePages; s.unlisted {
		err = walk(ctx, s.file, s.pageSize)
	}
	return err
}

// openFile is how bbolt opens the file. It is not created here: one that
// vanished since must not come back empty.
func (s *Store) openFile(path string, flag int, mode os.FileMode) (f *os.File, err error) {
	f, err = os.OpenFile(path, flag&^os.O_CREATE, mode)
	s.file = f
	return f, err
}

// inspect does the first read.
func (s *Store) inspect(ctx context.Context) error {
	self, err := s.file.Stat()
	if err != nil {
		return err
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		s.tried = int64(tx.ID())
		s.committed.Store(s.tried)
		b := tx.Bucket(bucket)
		if b == nil {
			return fmt.Errorf("%w: it is a bbolt file, but not of this module", ErrDamaged)
		}
		switch {
		case s.unlisted:
			return nil // it was walked
		case tx.Size() > walkAtOpen:
			b.Cursor().First()
			b.Cursor().Last()
			return nil
		}
		return walk(ctx, s.file, s.pageSize)
	})
	if err != nil {
		return err
	}
	s.watch.start(self)
	return s.watch.look(s.path)
}

// create makes a complete, synced, empty store and only then gives it its
// name: a crash leaves no store or a good one. A link, unlike a rename, cannot
// replace the store of another process that was a moment faster.
func create(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
	if err = errors.Join(err, db.Sync(), db.Close()); err != nil {
		return err
	}
	switch err := os.Link(tmp, path); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		// A file system without hard links.
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

// advise adds what the operator can do about an error of the file system.
func advise(err error) error {
	for _, a := range []struct {
		cause  error
		remedy string
	}{
		{fs.ErrPermission, "it must be writable by the user that Caddy runs as"},
		{syscall.ENOSPC, "free some space on its disk"},
		{syscall.EDQUOT, "free some space, or raise the quota of the user that Caddy runs as"},
		{syscall.EFBIG, "raise the limit for the size of files of the process"},
		{syscall.EROFS, "make its file system writable; if the system made it read-only by itself, check it first"},
		{syscall.EIO, "the disk may be failing: look into the log of the system, and have a copy of the file"},
	} {
		if errors.Is(err, a.cause) {
			return fmt.Errorf("%w; %s", err, a.remedy)
		}
	}
	return err
}

// tighten takes the file away from everybody else: bbolt keeps the mode it
// finds, and a copy put back from a backup is often readable by all.
func tighten(path string, mode fs.FileMode, log *slog.Logger) error {
	if mode.Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("others may use the file (mode %v) and taking that away failed; run chmod 600 on it: %w", mode.Perm(), err)
	}
	log.Warn("store could be used by others; its mode is 0600 now", "path", path, "mode", mode.Perm().String())
	return nil
}

// syncDir makes a new name in dir durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package embeddedstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// breakWrites makes the open file of s refuse writes, like a disk that has
// become read-only, until the function it returns is called.
func breakWrites(t *testing.T, s *embeddedstore.Store) (mend func()) {
	t.Helper()
	fd := int(s.File().Fd())
	kept, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup3(int(readOnly.Fd()), fd, 0); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Dup3(kept, fd, 0); err != nil {
			t.Fatal(err)
		}
		syscall.Close(kept)
		readOnly.Close()
	}
}

// A file that may be read and not written is refused with the remedy.
func TestReadOnly(t *testing.T) {
	path := newPath(t)
	open(t, path).Close()
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(path, 0o600)
	err := asNobody(t, path, func() error {
		_, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "must be writable") {
		t.Errorf("Open = %v; want the remedy", err)
	}
}

// asNobody calls fn as a user for whom the file at path is read-only. Root may
// write everywhere: its thread takes on the rights of nobody, and ends with fn.
func asNobody(t *testing.T, path string, fn func() error) error {
	t.Helper()
	if os.Getuid() != 0 {
		return fn()
	}
	const nobody = 65534
	for dir := filepath.Dir(path); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is of no more use
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		result <- fn()
	}()
	return <-result
}

// While the disk refuses writes, every result of a batch is unknown, also the
// one of a closure that refused: it may have decided on what is not durable.
func TestDiskRefusesWrites(t *testing.T) {
	path := newPath(t)
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	diskRefusesWrites(t, s, &log)
}

// The same while the file has no list of free pages, and each rollback has to
// find them again: none is lost by it.
func TestDiskRefusesWritesWithoutList(t *testing.T) {
	path := newPath(t)
	var log journal
	s := flooded(t, embeddedstore.Options{Path: path, Logger: log.logger()})
	pages := pagesOf(t, path)
	diskRefusesWrites(t, s, &log)
	for range 200 {
		mustPut(t, s, "a", "4")
	}
	if now := pagesOf(t, path); hasList(t, path) || now != pages {
		t.Errorf("the file has grown from %d pages to %d", pages, now)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func diskRefusesWrites(t *testing.T, s *embeddedstore.Store, log *journal) {
	t.Cleanup(func() { s.Close(); check(t, s.Path()) })
	mustPut(t, s, "a", "1")
	commits := s.Commits()

	mend := breakWrites(t, s)
	for range 5 {
		if err := put(s, "a", "2"); !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("Update = %v; want ErrUnknown", err)
		}
		err := s.Update(t.Context(), func(tx kv.Tx) error { return errRefused })
		if !errors.Is(err, kv.ErrUnknown) || errors.Is(err, errRefused) {
			t.Errorf("refusing Update = %v; want ErrUnknown until a commit has succeeded", err)
		}
		if got := mustGet(t, s, "a"); got != "1" {
			t.Errorf("View = %q; want the last value that was stored", got)
		}
	}
	if got := log.count("level=ERROR"); got != 1 {
		t.Errorf("%d errors in the log; want 1", got)
	}

	mend()
	s.SetCalm(0)
	// The first closure after the fault writes nothing, and is committed all
	// the same.
	commits2 := s.Commits()
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return errRefused }); err != errRefused {
		t.Errorf("Update after the fault = %v; want the closure's own error", err)
	}
	if got := s.Commits(); got != commits2+1 || got <= commits {
		t.Errorf("%d commits, then %d; want one more", commits2, got)
	}
	mustPut(t, s, "a", "3")
	if got := mustGet(t, s, "a"); got != "3" {
		t.Errorf("after the fault: %q", got)
	}
	if log.count("can write again") != 1 {
		t.Error("want one line in the log when it can write again")
	}
}

// On a full disk some commits find room and others do not: the operator hears
// of that once, and once of its end.
func TestDiskRefusesSomeWrites(t *testing.T) {
	path := newPath(t)
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for range 5 {
		mend := breakWrites(t, s)
		if err := put(s, "a", "1"); !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("Update = %v; want ErrUnknown", err)
		}
		mend()
		mustPut(t, s, "a", "2")
	}
	s.SetCalm(0)
	for range 2 {
		mustPut(t, s, "a", "3")
	}
	if failed, again := log.count("level=ERROR"), log.count("can write again"); failed != 1 || again != 1 {
		t.Errorf("the log has %d errors and %d ends of them; want one each", failed, again)
	}
}

// A page that is damaged while the disk refuses writes must not end the process,
// which would take every other site with it: bbolt's rollback visits all pages
// if the file has no list of free ones.
func TestDiskRefusesWritesAndIsDamaged(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			s := flooded(t, embeddedstore.Options{})
			damageWhileOpen(t, s.Path(), damage.do)
			mend := breakWrites(t, s)
			// On a page that is not damaged.
			for range 3 {
				if err := put(s, "zzz", "1"); !errors.Is(err, embeddedstore.ErrDamaged) || !errors.Is(err, kv.ErrUnknown) {
					t.Errorf("Update = %v; want ErrDamaged and ErrUnknown", err)
				}
			}
			mend()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			_, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: s.Path(), Timeout: 1})
			if !errors.Is(err, embeddedstore.ErrDamaged) {
				t.Errorf("Open = %v; want ErrDamaged, and no lock", err)
			}
		})
	}
}

package embeddedstore_test

import (
	"errors"
	"os"
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

// While the disk refuses writes, every result of a batch is unknown, also the
// one of a closure that refused: it may have decided on what is not durable.
func TestDiskRefusesWrites(t *testing.T) {
	path := newPath(t)
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); check(t, path) })
	mustPut(t, s, "a", "1")
	commits := s.Stats().Commits

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
	// The first closure after the fault writes nothing, and is committed all
	// the same.
	commits2 := s.Stats().Commits
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return errRefused }); err != errRefused {
		t.Errorf("Update after the fault = %v; want the closure's own error", err)
	}
	if got := s.Stats().Commits; got != commits2+1 || got <= commits {
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

package embeddedstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

func TestCreate(t *testing.T) {
	s := openNew(t)
	wantMode(t, filepath.Dir(s.Path()), 0o700)
	wantMode(t, s.Path(), 0o600)
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v; want the store alone", entries, err)
	}
}

// Several processes that start at once on no file must not replace each
// other's: one wins, the others find it in use.
func TestCreateAtOnce(t *testing.T) {
	path := newPath(t)
	var mu sync.Mutex
	var winners []*embeddedstore.Store
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path, Timeout: 100 * time.Millisecond})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, s)
			} else if !errors.Is(err, embeddedstore.ErrInUse) {
				t.Errorf("Open = %v; want ErrInUse", err)
			}
		})
	}
	group.Wait()
	if len(winners) != 1 {
		t.Fatalf("%d stores are open on one file; want 1", len(winners))
	}
	mustPut(t, winners[0], "a", "1")
	if err := winners[0].Close(); err != nil {
		t.Error(err)
	}
	if got := mustGet(t, open(t, path), "a"); got != "1" {
		t.Errorf("the winner's file was replaced: %q", got)
	}
}

// The one that was slower must not put its file in the place of the other's.
func TestCreateReplacesNothing(t *testing.T) {
	s := openNew(t)
	mustPut(t, s, "a", "1")
	if err := embeddedstore.Create(s.Path()); err != nil {
		t.Fatal(err)
	}
	s.LookNow()
	mustPut(t, s, "a", "2")
}

func TestTighten(t *testing.T) {
	path := newPath(t)
	open(t, path).Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantMode(t, path, 0o600)
	if log.count("level=WARN") != 1 {
		t.Errorf("want one warning, got %q", log.buf.String())
	}
}

func TestInUse(t *testing.T) {
	s := openNew(t)
	mustPut(t, s, "a", "1")
	started := time.Now()
	_, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: s.Path(), Timeout: 60 * time.Millisecond})
	if !errors.Is(err, embeddedstore.ErrInUse) || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("Open = %v; want ErrInUse with the path", err)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	mustPut(t, s, "a", "2") // the holder is unharmed
}

func TestNotAFile(t *testing.T) {
	if _, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: t.TempDir()}); err == nil {
		t.Error("Open of a directory: want an error")
	}
}

func TestMovedAway(t *testing.T) {
	path := newPath(t)
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); check(t, path) })
	mustPut(t, s, "a", "1")

	wantFailure := func(when string) {
		t.Helper()
		s.LookNow()
		for range 3 {
			if err := put(s, "a", "2"); !errors.Is(err, embeddedstore.ErrMissing) {
				t.Errorf("%s: Update = %v; want ErrMissing", when, err)
			}
			if _, err := get(s, "a"); !errors.Is(err, embeddedstore.ErrMissing) {
				t.Errorf("%s: View = %v; want ErrMissing", when, err)
			}
		}
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	wantFailure("moved away")
	if err := os.WriteFile(path, []byte("another file"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure("replaced")
	if got := log.count("level=ERROR"); got != 1 {
		t.Errorf("%d errors in the log; want 1", got)
	}

	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	s.LookNow()
	mustPut(t, s, "b", "3")
	if got := mustGet(t, s, "a"); got != "1" {
		t.Errorf("after coming back: %q; want the value from before", got)
	}
	if log.count("store is back") != 1 {
		t.Error("want one line in the log when it is back")
	}
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != want {
		t.Errorf("mode of %s is %v; want %v", filepath.Base(path), info.Mode().Perm(), want)
	}
}

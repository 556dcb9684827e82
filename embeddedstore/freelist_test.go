package embeddedstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// The list of free pages is left out of commits only while it is long and few
// pages are in use. Close writes it in any case.
func TestLongListIsLeftOut(t *testing.T) {
	tests := []struct {
		name          string
		stored, taken int
		want          bool
	}{
		{"short list", 1000, 1000, true},
		{"long list, most pages in use", 5000, 2200, true},
		{"long list, most pages free", 5000, 4000, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openNew(t)
			flood(t, s, tt.stored, tt.taken)
			mustPut(t, s, "a", "1")
			if got := hasList(t, s.Path()); got != tt.want {
				t.Errorf("list of free pages in the file: %t; want %t", got, tt.want)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
			commits := s.Commits()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if !hasList(t, s.Path()) {
				t.Error("no list of free pages after Close")
			}
			if now := s.Commits(); tt.want && now != commits {
				t.Errorf("%d commits at Close; want none", now-commits)
			}
		})
	}
}

// A file that was left without a list keeps its rows, is not written by opening
// it, and gets its list from the next Close.
func TestOpenWithoutList(t *testing.T) {
	path, data := abandoned(t)
	s := open(t, path)
	if got := mustGet(t, s, "live"); got != "1" {
		t.Errorf("a row is lost: %q", got)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Error("opening has changed the file")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !hasList(t, path) {
		t.Error("no list of free pages after Close")
	}
}

// However often a store fills and empties, and however it comes to its end
// between, it uses its pages again.
func TestFileStaysAsLargeAsItsRows(t *testing.T) {
	const rows = 3000
	path := newPath(t)
	first := int64(0)
	for round := range 6 {
		s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		flood(t, s, rows, rows)
		if round%3 == 0 {
			flood(t, s, rows, rows)
		}
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if hasList(t, path) {
			t.Error("the list is in the file; want this test without it")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if round%3 == 1 { // a crash instead
			if err := os.WriteFile(path, left, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		used := pagesOf(t, path)
		if first == 0 {
			first = used
		}
		t.Logf("round %d: %d pages", round, used)
		if used > first+first/20 {
			t.Errorf("round %d: the file has %d pages; %d were enough at first", round, used, first)
		}
	}
	check(t, path)
}

// flood stores n rows of 900 bytes and takes the first of them away again.
func flood(t testing.TB, s *embeddedstore.Store, n, taken int) {
	t.Helper()
	value := make([]byte, 900)
	each := func(n int, fn func(tx kv.Tx, key []byte) error) {
		t.Helper()
		for from := 0; from < n; from += kv.MaxKeys {
			err := s.Update(context.Background(), func(tx kv.Tx) error {
				for i := from; i < min(n, from+kv.MaxKeys); i++ {
					if err := fn(tx, []byte(key(i))); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	each(n, func(tx kv.Tx, key []byte) error { return tx.Put(key, value) })
	each(taken, kv.Tx.Delete)
}

// flooded opens a store whose commits leave the list of free pages out, and
// which holds some rows on several pages.
func flooded(t testing.TB, o embeddedstore.Options) *embeddedstore.Store {
	t.Helper()
	path, data := abandoned(t)
	if o.Path == "" {
		o.Path = path
	} else if err := errors.Join(os.MkdirAll(filepath.Dir(o.Path), 0o700), os.WriteFile(o.Path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := embeddedstore.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "live", "1")
	if hasList(t, o.Path) {
		t.Fatal("the list of free pages is in the file")
	}
	return s
}

// abandoned returns a file as a killed process leaves it after a flood, with its
// content.
func abandoned(t testing.TB) (path string, data []byte) {
	t.Helper()
	afterFlood.once.Do(func() {
		s := openNew(t)
		flood(t, s, 4000, 3900)
		mustPut(t, s, "live", "1")
		if hasList(t, s.Path()) {
			t.Fatal("the list of free pages is still in the file")
		}
		data, err := os.ReadFile(s.Path())
		if err != nil {
			t.Fatal(err)
		}
		afterFlood.data = data
	})
	path = t.TempDir() + "/reset.db"
	if err := os.WriteFile(path, afterFlood.data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, afterFlood.data
}

// afterFlood is made once: it takes some thousand rows.
var afterFlood struct {
	once sync.Once
	data []byte
}

// withoutList returns the bytes of a store like filled, but for its list of free
// pages.
func withoutList(t testing.TB) []byte {
	t.Helper()
	path := t.TempDir() + "/reset.db"
	if err := os.WriteFile(path, filled(t), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("kv")).Put([]byte("last"), nil) })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// hasList reports whether the newest state of the file at path has a list of
// free pages.
func hasList(t testing.TB, path string) bool {
	t.Helper()
	const none = 1<<64 - 1
	return newestMeta(t, path, 48) != none
}

// pagesOf returns how many pages of the file at path have ever been in use.
func pagesOf(t testing.TB, path string) int64 {
	t.Helper()
	return int64(newestMeta(t, path, 56))
}

func newestMeta(t testing.TB, path string, at int) uint64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(data[at:]) }
	if word(4096+64) > word(64) {
		at += 4096
	}
	return word(at)
}

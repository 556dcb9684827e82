package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// bboltConfig is a store that no server runs, with a key file beside it.
func bboltConfig(path string) *storeConfig {
	return newStoreConfig(&BboltStore{path: path}, nil, slog.New(slog.DiscardHandler))
}

// with opens the store for as long as do runs.
func with(t *testing.T, c *storeConfig, do func(*sealed.Store)) {
	t.Helper()
	store, release, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	do(store.sealed)
}

func put(t *testing.T, c *storeConfig, value string) {
	t.Helper()
	with(t, c, func(s *sealed.Store) {
		if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte("a"), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	})
}

// wantStored compares the row, and returns the era.
func wantStored(t *testing.T, c *storeConfig, want string) (era uint64) {
	t.Helper()
	with(t, c, func(s *sealed.Store) {
		era = s.Era()
		err := s.View(t.Context(), func(r kv.Reader) error {
			if got, err := r.Get([]byte("a")); string(got) != want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	return era
}

// Where no server runs a copy is made and put back all the same, and counts as
// older, on a machine too that has never seen the store.
func TestCopyAlone(t *testing.T) {
	c := bboltConfig(filepath.Join(t.TempDir(), "reset.db"))
	var copy bytes.Buffer
	if err := c.exportAlone(t.Context(), &copy, nil); !errors.Is(err, errNothingToCopy) {
		t.Errorf("without a store: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(c.opener.(*BboltStore).path)); len(entries) > 0 || err != nil {
		t.Errorf("that made %v, %v", entries, err)
	}
	put(t, c, "old")
	if err := c.exportAlone(t.Context(), &copy, nil); err != nil {
		t.Fatal(err)
	}
	put(t, c, "new")
	era := wantStored(t, c, "new")
	kept, err := c.restoreAlone(t.Context(), bytes.NewReader(copy.Bytes()))
	if err != nil || kept == "" {
		t.Fatalf("restore = %q, %v", kept, err)
	}
	if now := wantStored(t, c, "old"); now <= era {
		t.Errorf("era %d after %d; want a later one", now, era)
	}

	other := bboltConfig(filepath.Join(t.TempDir(), "reset.db"))
	if _, err := other.restoreAlone(t.Context(), bytes.NewReader(copy.Bytes())); err == nil || !strings.Contains(err.Error(), "key file") {
		t.Errorf("without the key: %v", err)
	}
	key, err := os.ReadFile(c.opener.(*BboltStore).KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other.opener.(*BboltStore).KeyFile(), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := other.restoreAlone(t.Context(), bytes.NewReader(copy.Bytes())); err != nil {
		t.Fatal(err)
	}
	if now := wantStored(t, other, "old"); now <= era {
		t.Errorf("on a new machine: era %d after %d; want a later one", now, era)
	}
}

// A store that another process has open is neither copied nor replaced without
// asking that one.
func TestCopyAloneInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reset.db")
	c := bboltConfig(path)
	put(t, c, "old")
	var copy bytes.Buffer
	if err := c.exportAlone(t.Context(), &copy, nil); err != nil {
		t.Fatal(err)
	}
	// So that the copy has to be marked as older, and that be taken back.
	if err := os.Remove(path + ".generation"); err != nil {
		t.Fatal(err)
	}
	held, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	before, err := held.Generation()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exportAlone(t.Context(), io.Discard, nil); !errors.Is(err, embeddedstore.ErrInUse) {
		t.Errorf("export = %v", err)
	}
	if _, err := c.restoreAlone(t.Context(), &copy); !errors.Is(err, embeddedstore.ErrInUse) {
		t.Errorf("restore = %v", err)
	}
	if after, err := held.Generation(); after != before || err != nil {
		t.Errorf("the generation went from %d to %d, %v", before, after, err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	wantStored(t, c, "old")
}

// Whoever came while a store was replaced gets it the moment that it is back, and
// not after the pause that follows a store that does not open.
func TestShutIsNotRemembered(t *testing.T) {
	c, _ := fakeConfig(t)
	a := &App{store: c}
	open := pool.close(c.opener.StoreKey())
	if _, _, err := a.acquire(t.Context()); !errors.Is(err, errShut) {
		t.Errorf("while it is shut: %v", err)
	}
	open()
	_, release, err := a.acquire(t.Context())
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	release()
}

// A store of another kind is not copied by what knows files.
func TestCopyOfAnotherKind(t *testing.T) {
	c, _ := fakeConfig(t)
	if err := c.exportAlone(context.Background(), io.Discard, nil); !errors.Is(err, errNoExport) {
		t.Errorf("export = %v", err)
	}
	if _, err := c.restoreAlone(context.Background(), strings.NewReader("")); !errors.Is(err, errNoRestore) {
		t.Errorf("restore = %v", err)
	}
}

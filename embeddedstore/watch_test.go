package embeddedstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// An older copy that is written over the open file, as cp does, brings back a
// state that bbolt's list of free pages does not fit. It is not touched, and
// nothing that it says is believed.
func TestOverwrittenWhileRunning(t *testing.T) {
	for _, read := range []bool{false, true} {
		path := newPath(t)
		s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "token", "live")
		older, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "token", "used")
		if err := os.WriteFile(path, older, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var err error
			if read {
				_, err = get(s, "token")
			} else {
				err = put(s, "other", "1")
			}
			if !errors.Is(err, embeddedstore.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another copy") {
				t.Errorf("with the copy in its place: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, older) {
			t.Error("the copy was changed")
		}
		if got := mustGet(t, open(t, path), "token"); got != "live" {
			t.Errorf("after a restart: %q", got)
		}
	}
}

// Nor does the last commit touch it, which lists the free pages that the open
// store knew.
func TestOverwrittenBeforeClose(t *testing.T) {
	_, older := abandoned(t)
	s := flooded(t, embeddedstore.Options{})
	for range 3 {
		mustPut(t, s, "live", "2")
	}
	if err := os.WriteFile(s.Path(), older, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(s.Path()); err != nil || !bytes.Equal(now, older) {
		t.Error("the copy was changed")
	}
	check(t, s.Path())
}

// Without a guard, reading the mapping of a truncated file is a SIGBUS that
// ends the process.
func TestTruncatedWhileRunning(t *testing.T) {
	_, flooded := abandoned(t)
	for name, good := range map[string][]byte{"list": filled(t), "no list": flooded} {
		for _, noticed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/noticed=%t", name, noticed), func(t *testing.T) {
				truncateWhileRunning(t, good, noticed)
			})
		}
	}
}

func truncateWhileRunning(t *testing.T, good []byte, noticed bool) {
	path := t.TempDir() + "/reset.db"
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	var log journal
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	if noticed {
		s.LookNow()
	}
	for i := range 3 {
		if _, err := get(s, key(100*i)); !errors.Is(err, embeddedstore.ErrDamaged) {
			t.Errorf("View = %v; want ErrDamaged", err)
		}
		if _, err := get(s, "a"); noticed && !strings.Contains(err.Error(), "was truncated") {
			t.Errorf("View = %v; does not say what happened", err)
		}
		if err := put(s, key(100*i), "new"); !errors.Is(err, embeddedstore.ErrDamaged) || !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("Update = %v; want ErrDamaged and ErrUnknown", err)
		}
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check = nil")
	}
	if log.count("level=ERROR") == 0 {
		t.Error("nothing in the log")
	}
	_ = s.Close()

	// Put back, it opens again: nothing holds the lock.
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, path)
}

package embeddedstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

func TestExports(t *testing.T) {
	kvtest.Exports(t, func(t *testing.T) kv.Store { return openNew(t) }, func(t *testing.T, copy []byte) kv.Store {
		return open(t, write(t, copy))
	})
}

// write makes the bytes a store.
func write(t testing.TB, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "reset.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func export(t testing.TB, s *embeddedstore.Store) []byte {
	t.Helper()
	var copy bytes.Buffer
	if err := s.Export(t.Context(), &copy, nil); err != nil {
		t.Fatal(err)
	}
	return copy.Bytes()
}

// alone fails if anything but the store and what belongs to it is beside it.
func alone(t testing.TB, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(filepath.Base(path)+".*.copy", e.Name()); ok {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// A store whose file has no list of free pages is copied too, and what was
// deleted from a store is not in its copy.
func TestExportLeavesOutWhatIsDeleted(t *testing.T) {
	s := flooded(t, embeddedstore.Options{})
	defer s.Close()
	secret := []byte("a row that is deleted soon")
	mustPut(t, s, "secret", string(secret))
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Delete([]byte("secret")) }); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(s.Path()); err != nil || !bytes.Contains(data, secret) {
		t.Fatal("the store's file does not hold it any more; want this test with one that does", err)
	}
	copy := export(t, s)
	if bytes.Contains(copy, secret) {
		t.Error("the copy holds a deleted row")
	}
	if got := mustGet(t, open(t, write(t, copy)), "live"); got != "1" {
		t.Errorf("in the copy: %q", got)
	}
	alone(t, s.Path())
}

// A fault of the store is told instead of a copy that has it.
func TestExportDamaged(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			s := flooded(t, embeddedstore.Options{})
			defer s.Close()
			damageWhileOpen(t, s.Path(), damage.do)
			var copy bytes.Buffer
			if err := s.Export(t.Context(), &copy, nil); !errors.Is(err, embeddedstore.ErrDamaged) || copy.Len() > 0 {
				t.Errorf("Export = %v after %d bytes; want ErrDamaged before the first", err, copy.Len())
			}
			alone(t, s.Path())
		})
	}
}

// A client that does not read its copy must not keep the store from using its
// free pages again.
func TestExportToSlowWriter(t *testing.T) {
	s := openNew(t)
	flood(t, s, 2000, 1000)
	before := pagesOf(t, s.Path())
	reached, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	result := make(chan error, 1)
	go func() {
		result <- s.Export(context.Background(), slow(func() {
			once.Do(func() { close(reached) })
			<-proceed
		}), nil)
	}()
	<-reached
	for i := range 2000 {
		mustPut(t, s, key(i%50), time.Now().String())
	}
	if after := pagesOf(t, s.Path()); after > before+before/10 {
		t.Errorf("the file grew from %d to %d pages while the copy waited", before, after)
	}
	close(proceed)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

type slow func()

func (f slow) Write(p []byte) (int, error) { f(); return len(p), nil }

// A file that outgrows its mapping while it is copied does not wait for the end
// of the copy, and the copy is made all the same.
func TestExportGivesWay(t *testing.T) {
	s := openNew(t)
	flood(t, s, 3000, 0)
	gaveWay, again := false, false
	result := make(chan error, 1)
	s.SetDuringSnapshot(func() {
		if gaveWay {
			if !again && s.Grows() {
				t.Error("the copy goes on while the writer waits")
			}
			again = true
			return
		}
		// Twice as many rows as the mapping has room for.
		go func() {
			for i := range 10 * kv.MaxKeys {
				if err := put(s, "grow "+key(i), string(make([]byte, 20<<10))); err != nil {
					result <- err
					return
				}
			}
			result <- nil
		}()
		deadline := time.Now().Add(time.Minute)
		for !s.Grows() && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		gaveWay = s.Grows()
	})
	copy := export(t, s)
	if !gaveWay {
		t.Error("the file did not outgrow its mapping; want this test with one that does")
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := mustGet(t, open(t, write(t, copy)), key(0)); len(got) != 900 {
		t.Errorf("in the copy: %d bytes", len(got))
	}
}

// Nor does one that is only just being received.
func TestSweepWhileReceiving(t *testing.T) {
	path := newPath(t)
	s := openNew(t)
	mustPut(t, s, "a", "1")
	copy := export(t, s)
	c, err := embeddedstore.Receive(t.Context(), path, io.MultiReader(bytes.NewReader(copy[:100]), readerFunc(func() {
		open(t, path).Close()
	}), bytes.NewReader(copy[100:])))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Discard(); err != nil {
		t.Error(err)
	}
}

// What a crash leaves of a copy goes when the store is opened; a copy that is
// being made does not.
func TestSweep(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	left := path + ".123.copy"
	if err := os.WriteFile(left, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	copy, err := embeddedstore.Receive(t.Context(), path, bytes.NewReader(export(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", left)
	}
	if err := copy.View(t.Context(), func(kv.Reader) error { return nil }); err != nil {
		t.Error(err)
	}
	if names, _ := filepath.Glob(path + ".*.copy"); len(names) != 1 {
		t.Errorf("%q are there; want the one that is in use", names)
	}
	if err := copy.Discard(); err != nil {
		t.Error(err)
	}
	alone(t, path)
}

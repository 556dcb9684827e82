package embeddedstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

func TestMain(m *testing.M) {
	crashHelper()
	installHelper()
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	kvtest.Conformance(t, func(t *testing.T) kv.Store { return openNew(t) })
}

func TestReopen(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := mustGet(t, s, "a"); got != "1" {
		t.Errorf("after reopening: %q", got)
	}
	mustPut(t, s, "b", "2")
	if updates, commits := s.Updates(), s.Commits(); updates != 1 || commits != 1 {
		t.Errorf("%d updates in %d commits since opening; want one in one", updates, commits)
	}
}

// A commit is told of once, when it is on disk; what writes nothing is none.
func TestCommitted(t *testing.T) {
	path := newPath(t)
	var took []time.Duration
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path, Committed: func(d time.Duration) { took = append(took, d) }})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	mustPut(t, s, "a", "1")
	mustPut(t, s, "b", "2")
	if err := s.Update(t.Context(), func(kv.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return errRefused }); err != errRefused {
		t.Fatal(err)
	}
	size, err := s.Size()
	info, stat := os.Stat(path)
	if err != nil || stat != nil || size != info.Size() || size == 0 {
		t.Errorf("Size = %d, %v; the file: %v, %v", size, err, info, stat)
	}
	commits := int(s.Commits())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if commits != 2 || len(took) != commits {
		t.Errorf("told of %d commits of %d, want 2", len(took), commits)
	}
	for _, d := range took {
		if d <= 0 || d > time.Since(begun) {
			t.Errorf("a commit took %s", d)
		}
	}
	if _, err := s.Size(); err == nil {
		t.Error("a store that is closed has a size")
	}
}

func TestCloseCarriesOutWhatWaits(t *testing.T) {
	s := openNew(t)
	gate := newGate(s)
	first := start(s, func(kv.Tx) error { return nil }, "a")
	gate.arrive()
	second := start(s, nil, "b")
	waitFor(t, func() bool { return s.Waiting() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	gate.open()
	for _, result := range []chan error{first, second, closed} {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	s = open(t, s.Path())
	if mustGet(t, s, "b") == "" {
		t.Error("an update that waited when the store was closed is lost")
	}
}

func TestOpenContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := embeddedstore.Open(ctx, embeddedstore.Options{Path: newPath(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v; want context.Canceled", err)
	}
}

// newPath returns a path in a directory that is not there yet.
func newPath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "password_reset", "reset.db")
}

// openNew opens a new store that is checked at the end of the test.
func openNew(t testing.TB) *embeddedstore.Store {
	t.Helper()
	return open(t, newPath(t))
}

// open opens a store. At the end of the test it must close, open again and be
// without a fault.
func open(t testing.TB, path string) *embeddedstore.Store {
	t.Helper()
	s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		check(t, path)
	})
	return s
}

func check(t testing.TB, path string) {
	t.Helper()
	s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Errorf("opening again: %v", err)
		return
	}
	if err := errors.Join(s.Check(context.Background()), s.Close()); err != nil {
		t.Error(err)
	}
}

func mustPut(t testing.TB, s kv.Store, key, value string) {
	t.Helper()
	if err := put(s, key, value); err != nil {
		t.Fatal(err)
	}
}

func put(s kv.Store, key, value string) error {
	return s.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte(key), []byte(value)) })
}

func mustGet(t testing.TB, s kv.Store, key string) string {
	t.Helper()
	value, err := get(s, key)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func get(s kv.Store, key string) (value string, err error) {
	err = s.View(context.Background(), func(r kv.Reader) error {
		got, err := r.Get([]byte(key))
		value = string(got)
		return err
	})
	return value, err
}

// start runs an update that puts key and then does fn, if not nil.
func start(s kv.Store, fn func(kv.Tx) error, key string) chan error {
	result := make(chan error, 1)
	go func() {
		result <- s.Update(context.Background(), func(tx kv.Tx) error {
			if err := tx.Put([]byte(key), []byte("written")); err != nil || fn == nil {
				return err
			}
			return fn(tx)
		})
	}()
	return result
}

// A gate holds each commit of a store back until it is opened for good.
type gate struct {
	arrived chan struct{}
	release chan struct{}
	once    sync.Once
}

func newGate(s *embeddedstore.Store) *gate {
	g := &gate{arrived: make(chan struct{}), release: make(chan struct{})}
	s.SetBeforeCommit(func() {
		select {
		case g.arrived <- struct{}{}:
			<-g.release
		case <-g.release:
		}
	})
	return g
}

// arrive waits until a commit is held back.
func (g *gate) arrive() { <-g.arrived }

// pass lets one commit go on and waits for the next one.
func (g *gate) pass() {
	g.release <- struct{}{}
	<-g.arrived
}

func (g *gate) open() { g.once.Do(func() { close(g.release) }) }

// A journal keeps log lines.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

func key(i int) string { return fmt.Sprintf("key %06d", i) }

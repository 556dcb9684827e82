package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

// A fakeOpener opens stores in memory and counts.
type fakeOpener struct {
	key    string
	open   func() (kv.Store, error)
	mu     sync.Mutex
	opened int
	closed int
}

func (f *fakeOpener) StoreKey() string { return f.key }

func (f *fakeOpener) OpenStore(context.Context, *slog.Logger) (kv.Store, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	if f.open != nil {
		return f.open()
	}
	return &countedStore{Store: kvtest.Memory(), f: f}, nil
}

func (f *fakeOpener) counts() (opened, closed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened, f.closed
}

type countedStore struct {
	kv.Store
	f *fakeOpener
}

func (s *countedStore) Close() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.closed++
	return s.Store.Close()
}

func fakeConfig(t *testing.T) (*storeConfig, *fakeOpener) {
	f := &fakeOpener{key: t.Name()}
	return newStoreConfig(f, [][]byte{bytes.Repeat([]byte{1}, 32)}, slog.New(slog.DiscardHandler)), f
}

func TestPoolSharesOneStore(t *testing.T) {
	c, f := fakeConfig(t)
	a, releaseA, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, releaseB, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Error("two stores for one key")
	}
	// A second call of a release must not take what another one holds.
	releaseA()
	releaseA()
	releaseA()
	if opened, closed := f.counts(); opened != 1 || closed != 0 {
		t.Errorf("opened %d, closed %d with a reference left", opened, closed)
	}
	releaseB()
	if opened, closed := f.counts(); opened != 1 || closed != 1 {
		t.Errorf("opened %d, closed %d in the end", opened, closed)
	}
}

func TestPoolOutlivesFaults(t *testing.T) {
	c, f := fakeConfig(t)
	for name, fault := range map[string]func() (kv.Store, error){
		"error":       func() (kv.Store, error) { return nil, errors.New("no disk") },
		"nil pointer": func() (kv.Store, error) { return (*countedStore)(nil), errors.New("no disk") },
		"panic":       func() (kv.Store, error) { panic("invalid freelist page") },
	} {
		t.Run(name, func(t *testing.T) {
			f.open = fault
			for range 3 {
				if _, _, err := c.acquire(t.Context()); err == nil {
					t.Fatal("it opened")
				}
			}
			f.open = nil
			_, release, err := c.acquire(t.Context())
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			release()
			if _, there := pool.References(c.opener.StoreKey()); there {
				t.Error("a reference was left behind")
			}
		})
	}
}

func TestHoldOpensNothing(t *testing.T) {
	c, f := fakeConfig(t)
	v, release, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hold, err := c.hold(v)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, closed := f.counts(); closed != 0 {
		t.Error("closed under a job")
	}
	hold()
	if _, closed := f.counts(); closed != 1 {
		t.Error("not closed after the last job")
	}
	if _, err := c.hold(v); !errors.Is(err, errClosed) {
		t.Errorf("holding a closed store: %v", err)
	}

	// Nor is another store under the same key the one that was asked for.
	_, release, err = c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.hold(v); !errors.Is(err, errClosed) {
		t.Errorf("holding an older store: %v", err)
	}
	release()
	if opened, closed := f.counts(); opened != 2 || closed != 2 {
		t.Errorf("opened %d, closed %d", opened, closed)
	}
}

func TestPoolUnderConcurrency(t *testing.T) {
	c, f := fakeConfig(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				v, release, err := c.acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if hold, err := c.hold(v); err != nil {
					t.Error(err)
				} else {
					hold()
				}
				release()
			}
		})
	}
	wg.Wait()
	if opened, closed := f.counts(); opened != closed || opened == 0 {
		t.Errorf("opened %d, closed %d", opened, closed)
	}
}

func TestKeysOfASecondConfiguration(t *testing.T) {
	c, _ := fakeConfig(t)
	_, release, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	older, newer := c.keys[0], bytes.Repeat([]byte{2}, 32)
	wrong := newStoreConfig(c.opener, [][]byte{newer}, c.log)
	if _, _, err := wrong.acquire(t.Context()); err == nil {
		t.Error("a key that does not fit was taken")
	}
	rotated := newStoreConfig(c.opener, [][]byte{newer, older}, c.log)
	_, releaseRotated, err := rotated.acquire(t.Context())
	if err != nil {
		t.Fatalf("rotating: %v", err)
	}
	releaseRotated()
	if refs, _ := pool.References(c.opener.StoreKey()); refs != 1 {
		t.Errorf("%d references, want 1", refs)
	}

	// The configuration that opened the store still serves requests, and goes
	// on with it if the reload fails after all.
	_, releaseOlder, err := c.acquire(t.Context())
	if err != nil {
		t.Fatalf("the older configuration after the rotation: %v", err)
	}
	releaseOlder()
	// One that is loaded now has to name the newer key.
	again := newStoreConfig(c.opener, [][]byte{older}, c.log)
	if _, _, err := again.acquire(t.Context()); err == nil {
		t.Error("a key that fits no more was taken")
	}
}

// A markedStore has a marker, and both survive Close.
type markedStore struct {
	*kvtest.MemStore
	marker *uint64
}

func (m markedStore) Generation() (uint64, error) { return *m.marker, nil }

func (m markedStore) SetGeneration(n uint64) error {
	*m.marker = n
	return nil
}

// A stop after the keys were replaced has to note the end of the run under the
// new ones: otherwise an older copy of the store could be put back unnoticed.
func TestStopAfterRotation(t *testing.T) {
	var log bytes.Buffer
	var marker uint64
	disk := kvtest.Memory()
	f := &fakeOpener{key: t.Name(), open: func() (kv.Store, error) {
		disk = disk.Copy()
		return markedStore{disk, &marker}, nil
	}}
	older, newer := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	run := func(loads ...[][]byte) {
		t.Helper()
		var releases []func()
		for _, keys := range loads {
			_, release, err := newStoreConfig(f, keys, slog.New(slog.NewTextHandler(&log, nil))).acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		running := marker
		for _, release := range releases {
			release()
		}
		if marker <= running {
			t.Errorf("the stop left the marker at %d", marker)
		}
	}
	run([][]byte{older}, [][]byte{newer, older}, [][]byte{newer})
	run([][]byte{newer})
	if text := log.String(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
		t.Errorf("the log complains:\n%s", text)
	}
}

// A store that does not open is tried every few seconds; its alarm is not an
// alarm any more if it comes as often.
func TestReminder(t *testing.T) {
	now := time.Now()
	full, damaged := errors.New("full"), errors.New("damaged")
	r := reminder{told: full.Error(), at: now}
	for _, tt := range []struct {
		after time.Duration
		err   error
		want  bool
	}{
		{time.Second, full, false},
		{59 * time.Minute, full, false},
		{time.Hour, full, true},
		{time.Hour + time.Second, full, false},
		{time.Hour + 2*time.Second, damaged, true},
		{time.Hour + 3*time.Second, damaged, false},
	} {
		if got := r.due(tt.err, now.Add(tt.after)); got != tt.want {
			t.Errorf("after %v, %v: %v", tt.after, tt.err, got)
		}
	}
}

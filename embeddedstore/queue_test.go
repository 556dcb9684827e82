package embeddedstore_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Work that nobody waits for makes a commit no more than an eighth longer, and
// one update, while somebody waits, and is not put off for good.
func TestYieldingUpdates(t *testing.T) {
	const urgent, yielding = 8, 40
	s := openNew(t)
	var mu sync.Mutex
	var order []bool  // whether the n-th closure yields
	var commits []int // how many had run before each
	s.SetBeforeCommit(func() {
		mu.Lock()
		defer mu.Unlock()
		commits = append(commits, len(order))
	})
	update := func(ctx context.Context, yields bool) {
		err := s.Update(ctx, func(tx kv.Tx) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, yields)
			return tx.Put([]byte("a"), nil)
		})
		if err != nil {
			t.Error(err)
		}
	}
	// While the first closure runs, all others come.
	var all sync.WaitGroup
	started, release := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			close(started)
			<-release
			return tx.Put([]byte("a"), nil)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	for range yielding {
		all.Go(func() { update(kv.Yielding(t.Context()), true) })
	}
	waitFor(t, func() bool { return s.Waiting() == yielding })
	for range urgent {
		all.Go(func() { update(t.Context(), false) })
	}
	waitFor(t, func() bool { return s.Waiting() == yielding+urgent })
	close(release)
	all.Wait()

	if len(order) != urgent+yielding {
		t.Fatalf("%d closures have run; want %d", len(order), urgent+yielding)
	}
	for n, yields := range order[:urgent] {
		if yields {
			t.Errorf("closure %d is one that yields, while others wait", n)
		}
	}
	// In the first commit, of nine that somebody waits for, there is room for two.
	if want := []int{urgent + 2, urgent + yielding}; !slices.Equal(commits, want) {
		t.Errorf("after each commit %d closures have run; want %d", commits, want)
	}
}

// Where more updates always wait than one commit takes, those that yield have
// their share all the same.
func TestYieldingUpdatesAmongVeryMany(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range 3 * embeddedstore.MaxBatch {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = s.Update(ctx, func(tx kv.Tx) error { return tx.Put([]byte(key(n)), nil) })
			}
		})
	}
	waitFor(t, func() bool { return s.Waiting() > 2*embeddedstore.MaxBatch })
	before := s.Commits()
	yielding, end := context.WithTimeout(kv.Yielding(t.Context()), 20*time.Second)
	defer end()
	err := s.Update(yielding, func(tx kv.Tx) error { return tx.Put([]byte("a"), nil) })
	commits := s.Commits() - before
	cancel()
	all.Wait()
	if err != nil || commits > 5 {
		t.Errorf("an update that yields: %v after %d commits; want it within a few", err, commits)
	}
}

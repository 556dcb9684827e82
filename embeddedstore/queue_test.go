package embeddedstore_test

import (
	"context"
	"slices"
	"sync"
	"testing"

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

package embeddedstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

var errRefused = errors.New("refused")

func TestGroupCommit(t *testing.T) {
	const n = 100
	s := openNew(t)
	gate := newGate(s)
	defer gate.open()
	first := start(s, nil, "first")
	gate.arrive()
	var results []chan error
	for i := range n {
		results = append(results, start(s, nil, key(i)))
	}
	refusing := start(s, func(kv.Tx) error { return errRefused }, "refused")
	panicking := start(s, func(kv.Tx) error { panic("hunter2") }, "panicked")
	waitFor(t, func() bool { return s.Waiting() == n+2 })

	gate.pass() // the first batch is committed, the second has run
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := s.Updates(); got != n+3 {
		t.Errorf("%d updates have run; want %d", got, n+3)
	}
	for _, result := range append(results, refusing, panicking) {
		select {
		case err := <-result:
			t.Fatalf("a result (%v) left before the commit of its batch", err)
		default:
		}
	}
	if got := mustGet(t, s, key(0)); got != "" {
		t.Errorf("View sees %q before the commit", got)
	}

	gate.open()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	if err := <-refusing; err != errRefused {
		t.Errorf("refusing update = %v; want its own error", err)
	}
	if err := <-panicking; !errors.Is(err, kv.ErrUnknown) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("panicking update = %v; want ErrUnknown without the value", err)
	}
	if got := s.Commits(); got != 2 {
		t.Errorf("%d commits for %d updates; want 2", got, n+3)
	}
	for i := range n {
		if mustGet(t, s, key(i)) != "written" {
			t.Errorf("update %d is lost", i)
		}
	}
	for _, key := range []string{"refused", "panicked"} {
		if got := mustGet(t, s, key); got != "" {
			t.Errorf("%s update left %q", key, got)
		}
	}
}

// Within a batch, each closure sees what those before it wrote, and nothing
// of those that refused.
func TestBatchIsSerial(t *testing.T) {
	s := openNew(t)
	gate := newGate(s)
	defer gate.open()
	start(s, nil, "first")
	gate.arrive()
	var results []chan error
	for i := range 50 {
		results = append(results, start(s, func(tx kv.Tx) error {
			value, err := tx.Get([]byte("count"))
			if err != nil {
				return err
			}
			if err := tx.Put([]byte("count"), append(value, 'x')); err != nil {
				return err
			}
			if i%5 == 0 {
				return errRefused
			}
			return nil
		}, "any"))
	}
	waitFor(t, func() bool { return s.Waiting() == 50 })
	gate.open()
	for i, result := range results {
		if err := <-result; (err == errRefused) != (i%5 == 0) {
			t.Errorf("update %d = %v", i, err)
		}
	}
	if got := mustGet(t, s, "count"); got != strings.Repeat("x", 40) {
		t.Errorf("%d of 40 updates counted", len(got))
	}
}

func TestBatchBounds(t *testing.T) {
	tests := []struct {
		name           string
		updates, bytes int
		most           uint64 // updates in the first batch
	}{
		{"operations", 520, 1, 512},
		{"bytes", 12, 200 << 10, 4}, // a fifth might have 256 KiB
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openNew(t)
			gate := newGate(s)
			defer gate.open()
			start(s, nil, "first")
			gate.arrive()
			value := make([]byte, test.bytes/4)
			var results []chan error
			for range test.updates {
				results = append(results, start(s, func(tx kv.Tx) error {
					for i := range 4 {
						if err := tx.Put([]byte(key(i)), value); err != nil {
							return err
						}
					}
					return nil
				}, "any"))
			}
			waitFor(t, func() bool { return s.Waiting() == test.updates })
			gate.pass()
			if got := s.Updates() - 1; got != test.most {
				t.Errorf("%d updates in one batch; want %d", got, test.most)
			}
			gate.open()
			for _, result := range results {
				if err := <-result; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A batch that writes nothing costs no sync.
func TestReadingUpdate(t *testing.T) {
	s := openNew(t)
	mustPut(t, s, "a", "1")
	for range 3 {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			_, err := tx.Get([]byte("a"))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if updates, commits := s.Updates(), s.Commits(); updates != 4 || commits != 1 {
		t.Errorf("%d updates in %d commits; want 4 in 1", updates, commits)
	}
}

func TestContextEndsInQueue(t *testing.T) {
	s := openNew(t)
	gate := newGate(s)
	defer gate.open()
	first := start(s, nil, "first")
	gate.arrive()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	ran := false
	go func() {
		result <- s.Update(ctx, func(tx kv.Tx) error { ran = true; return tx.Put([]byte("a"), nil) })
	}()
	waitFor(t, func() bool { return s.Waiting() == 1 })
	cancel()
	if err := <-result; !errors.Is(err, kv.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v; want ErrUnknown and context.Canceled", err)
	}
	gate.open()
	if err := <-first; err != nil {
		t.Error(err)
	}
	mustPut(t, s, "after", "")
	if ran {
		t.Error("an update that was taken back has run")
	}
}

func TestContextEndsInCommit(t *testing.T) {
	s := openNew(t)
	gate := newGate(s)
	defer gate.open()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- s.Update(ctx, func(tx kv.Tx) error { return tx.Put([]byte("a"), []byte("1")) })
	}()
	gate.arrive()
	cancel()
	if err := <-result; !errors.Is(err, kv.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v; want ErrUnknown and context.Canceled", err)
	}
	gate.open()
	mustPut(t, s, "barrier", "") // resolves what was unknown
	if got := mustGet(t, s, "a"); got != "1" {
		t.Errorf("after the barrier: %q; want the update that had run", got)
	}
}

// The closure and its caller share variables: Update must not return while
// the closure runs, whatever happens to ctx. The race detector sees it.
func TestContextEndsInClosure(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	running, goOn := make(chan struct{}), make(chan struct{})
	shared := 0
	go func() {
		<-running
		cancel()
		time.AfterFunc(20*time.Millisecond, func() { close(goOn) })
	}()
	_ = s.Update(ctx, func(kv.Tx) error {
		close(running)
		<-goOn
		shared++
		return nil
	})
	if shared != 1 {
		t.Error("Update returned while its closure was running")
	}
}

func TestGoexitInClosure(t *testing.T) {
	s := openNew(t)
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := tx.Put([]byte("a"), nil); err != nil {
			return err
		}
		runtime.Goexit()
		return nil
	})
	if !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Update = %v; want ErrUnknown", err)
	}
	mustPut(t, s, "b", "2")
	if got := mustGet(t, s, "b"); got != "2" {
		t.Errorf("the next update is lost: %q", got)
	}
}

// waitFor waits for a condition that is about to come true.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("condition never came true")
		}
	}
}

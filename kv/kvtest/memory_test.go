package kvtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

func TestMemory(t *testing.T) {
	kvtest.Conformance(t, func(*testing.T) kv.Store { return kvtest.Memory() })
}

func TestMemoryInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvtest.Memory()
		for i := range 3 {
			go func() {
				time.Sleep(time.Duration(i) * time.Hour)
				if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte{byte(i + 1)}, nil) }); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(3 * time.Hour)
		if got := s.Len(); got != 3 {
			t.Errorf("%d rows; want 3", got)
		}
	})
}

// A test that gives up inside a closure must not hang the ones after it.
func TestMemoryAfterGoexit(t *testing.T) {
	s := kvtest.Memory()
	t.Run("skipped in the closure", func(t *testing.T) {
		_ = s.Update(t.Context(), func(kv.Tx) error {
			t.SkipNow()
			return nil
		})
	})
	if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte("a"), nil) }); err != nil {
		t.Error(err)
	}
}

func TestMemoryCopy(t *testing.T) {
	s := kvtest.Memory()
	put := func(s kv.Store, value string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte("a"), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	put(s, "1")
	c := s.Copy()
	put(s, "2")
	put(c, "3")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for store, want := range map[*kvtest.MemStore]string{c: "3", s.Copy(): "2"} {
		if got := get(t, store, "a"); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// rewrite changes a row that lies in the store below.
func rewrite(t testing.TB, inner kv.Store, key string, replace func([]byte) []byte) {
	t.Helper()
	err := inner.Update(context.Background(), func(tx kv.Tx) error {
		value, err := tx.Get([]byte(key))
		if err != nil {
			return err
		}
		return tx.Put([]byte(key), replace(value))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// damage puts a patch into data, or cuts it there.
func damage(data []byte, at uint16, patch []byte) []byte {
	data = slices.Clone(data)
	at %= uint16(len(data))
	if len(patch) == 0 {
		return data[:at]
	}
	copy(data[at:], patch)
	return data
}

// FuzzSealed holds that a value opens as it was put or not at all, whatever is
// written over it, and never in another place.
func FuzzSealed(f *testing.F) {
	f.Add([]byte("value"), uint16(0), []byte{1})
	f.Add([]byte("value"), uint16(30), []byte{0xff, 0xff})
	f.Add([]byte{}, uint16(39), []byte(nil))
	f.Add(bytes.Repeat([]byte{' '}, 2048), uint16(2000), []byte("{}"))
	f.Fuzz(func(t *testing.T, value []byte, at uint16, patch []byte) {
		inner := kvtest.Memory()
		s, err := sealed.Open(context.Background(), inner, sealed.Options{Keys: [][]byte{key1}})
		if err != nil {
			t.Fatal(err)
		}
		if len(value) > s.MaxValue() {
			return
		}
		mustPut(t, s, "a", string(value))
		mustPut(t, s, "b", "other")
		var good, bad []byte
		rewrite(t, inner, "a", func(sealed []byte) []byte {
			good, bad = sealed, damage(sealed, at, patch)
			return bad
		})
		rewrite(t, inner, "b", func([]byte) []byte { return good })
		err = s.Update(context.Background(), func(tx kv.Tx) error {
			got, err := tx.Get([]byte("a"))
			switch same := bytes.Equal(good, bad); {
			case same && (err != nil || !bytes.Equal(got, value)):
				t.Errorf("got %q, %v, want %q", got, err, value)
			case !same && (!errors.Is(err, sealed.ErrDamaged) || got != nil):
				t.Errorf("changed at %d, it opens as %q, %v", at, got, err)
			}
			if got, err := tx.Get([]byte("b")); !errors.Is(err, sealed.ErrDamaged) {
				t.Errorf("moved, it opens as %q, %v", got, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// FuzzSentinel holds that a sentinel that is not as it was written opens no
// store, and that none is begun in its place.
func FuzzSentinel(f *testing.F) {
	f.Add(uint16(0), []byte{2})
	f.Add(uint16(1), []byte{0})
	f.Add(uint16(100), []byte("x"))
	f.Add(uint16(0), []byte(nil))
	inner := kvtest.Memory()
	s, err := sealed.Open(context.Background(), inner, sealed.Options{Keys: [][]byte{key1}})
	if err != nil {
		f.Fatal(err)
	}
	mustPut(f, s, "a", "1")
	f.Fuzz(func(t *testing.T, at uint16, patch []byte) {
		store := inner.Copy()
		var good, bad []byte
		rewrite(t, store, sentinelKey, func(data []byte) []byte {
			good, bad = data, damage(data, at, patch)
			return bad
		})
		again, err := sealed.Open(context.Background(), store, sealed.Options{Keys: [][]byte{key1}})
		if bytes.Equal(good, bad) {
			if err != nil || again.Era() != s.Era() {
				t.Errorf("opening: %v", err)
			}
			return
		}
		if !errors.Is(err, sealed.ErrSentinel) && !errors.Is(err, sealed.ErrKey) {
			t.Errorf("changed at %d it opens: %v", at, err)
		}
		rewrite(t, store, sentinelKey, func(data []byte) []byte {
			if !bytes.Equal(data, bad) {
				t.Error("a store that did not open was written to")
			}
			return data
		})
	})
}

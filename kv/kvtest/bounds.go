package kvtest

import (
	"errors"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

func testMaxKeys(t *testing.T, s kv.Store) {
	// Get, Put and Delete of one key count once.
	full := func(tx kv.Tx) error {
		for i := range kv.MaxKeys {
			if _, err := tx.Get(numbered(i)); err != nil {
				return err
			}
			if err := tx.Put(numbered(i), []byte("1")); err != nil {
				return err
			}
			if i%2 == 1 {
				if err := tx.Delete(numbered(i)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	update(t, s, full)

	one := map[string]func(kv.Tx) error{
		"get":    func(tx kv.Tx) error { _, err := tx.Get([]byte("z")); return err },
		"put":    func(tx kv.Tx) error { return tx.Put([]byte("z"), nil) },
		"delete": func(tx kv.Tx) error { return tx.Delete([]byte("z")) },
	}
	for name, more := range one {
		wantLimit(t, s, "one key too many, "+name, func(tx kv.Tx) error {
			if err := full(tx); err != nil {
				t.Errorf("%s: below the limit: %v", name, err)
			}
			return more(tx)
		})
	}
}

func testMaxKey(t *testing.T, s kv.Store) {
	put(t, s, string(filled(kv.MaxKey)), "1")
	wantRow(t, s, string(filled(kv.MaxKey)), []byte("1"))
	for name, key := range map[string][]byte{"too long": filled(kv.MaxKey + 1), "empty": {}, "nil": nil} {
		wantLimit(t, s, "key "+name, func(tx kv.Tx) error { return tx.Put(key, []byte("1")) })
	}
}

func testMaxValue(t *testing.T, s kv.Store) {
	longest := kv.MaxValue
	if m, ok := s.(interface{ MaxValue() int }); ok {
		longest = m.MaxValue()
	}
	put(t, s, "a", string(filled(longest)))
	wantRow(t, s, "a", filled(longest))
	wantLimit(t, s, "value too long", func(tx kv.Tx) error { return tx.Put([]byte("a"), filled(longest+1)) })
	wantRow(t, s, "a", filled(longest))
}

func testMaxBytes(t *testing.T, s kv.Store) {
	const size = 40 << 10 // six of them fit, seven do not
	write := func(n int) func(kv.Tx) error {
		return func(tx kv.Tx) error {
			for i := range n {
				if err := tx.Put(numbered(i), filled(size)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	update(t, s, write(6))
	wantLimit(t, s, "written", write(7))

	put(t, s, string(numbered(6)), string(filled(size)))
	wantLimit(t, s, "read", func(tx kv.Tx) error {
		for i := range 7 {
			if _, err := tx.Get(numbered(i)); err != nil {
				return err
			}
		}
		return nil
	})
	wantLimit(t, s, "read and written", func(tx kv.Tx) error {
		for i := range 4 {
			if _, err := tx.Get(numbered(i)); err != nil {
				return err
			}
			if err := tx.Put(numbered(i), filled(size)); err != nil {
				return err
			}
		}
		return nil
	})
}

// wantLimit runs a closure that goes beyond a bound, once handing the error
// on and once ignoring it: then all its later calls must fail too, and so must
// Update, or half of its work would be stored.
func wantLimit(t *testing.T, s kv.Store, name string, fn func(kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); !errors.Is(err, kv.ErrLimit) || errors.Is(err, kv.ErrUnknown) {
		t.Errorf("%s: Update = %v; want ErrLimit", name, err)
	}
	var before []byte
	view(t, s, func(r kv.Reader) (err error) {
		before, err = r.Get(numbered(50))
		return err
	})
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := tx.Put(numbered(50), []byte("half")); err != nil {
			t.Errorf("%s: Put below the limit = %v", name, err)
		}
		if err := fn(tx); !errors.Is(err, kv.ErrLimit) {
			t.Errorf("%s: closure met %v; want ErrLimit", name, err)
		}
		if err := tx.Put(numbered(50), []byte("more")); !errors.Is(err, kv.ErrLimit) {
			t.Errorf("%s: next Put = %v; want ErrLimit again", name, err)
		}
		return nil
	})
	if !errors.Is(err, kv.ErrLimit) || errors.Is(err, kv.ErrUnknown) {
		t.Errorf("%s, ignored: Update = %v; want ErrLimit", name, err)
	}
	wantRow(t, s, string(numbered(50)), before)
}

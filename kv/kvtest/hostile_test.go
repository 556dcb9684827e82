package kvtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

// What a hostile store does must still be within the contract: without its
// unknown outcomes and phantoms it passes the suite.
func TestHostileConforms(t *testing.T) {
	kvtest.Conformance(t, func(*testing.T) kv.Store {
		return kvtest.Faults{Seed: 1, Done: -1, Lost: -1, Phantom: -1}.Wrap(kvtest.Memory())
	})
}

func TestHostileCalm(t *testing.T) {
	kvtest.Conformance(t, func(*testing.T) kv.Store {
		s := kvtest.Faults{Done: 1, Lost: 1, Phantom: 1}.Wrap(kvtest.Memory())
		s.Calm()
		return s
	})
}

func TestHostileRunsTwice(t *testing.T) {
	s := kvtest.Faults{Done: -1, Lost: -1}.Wrap(kvtest.Memory())
	runs := 0
	for range 10 {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			runs++
			value, err := tx.Get([]byte("a"))
			if err != nil {
				return err
			}
			return tx.Put([]byte("a"), append(value, 'x'))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if runs != 20 {
		t.Errorf("the closure ran %d times; want 20", runs)
	}
	if got := get(t, s, "a"); len(got) != 10 {
		t.Errorf("stored %q; the first runs must leave no trace", got)
	}
}

func TestHostileUnknown(t *testing.T) {
	refused := errors.New("refused")
	tests := []struct {
		name   string
		faults kvtest.Faults
		stored bool
	}{
		{"stored", kvtest.Faults{Done: 1, Lost: -1}, true},
		{"lost", kvtest.Faults{Done: -1, Lost: 1}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := test.faults.Wrap(kvtest.Memory())
			err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte("a"), []byte("1")) })
			if !errors.Is(err, kv.ErrUnknown) {
				t.Errorf("Update = %v; want ErrUnknown", err)
			}
			if got := get(t, s, "a"); (got != nil) != test.stored {
				t.Errorf("stored %q; want stored: %t", got, test.stored)
			}
			err = s.Update(t.Context(), func(kv.Tx) error { return refused })
			if errors.Is(err, refused) != test.stored {
				t.Errorf("refusing Update = %v", err)
			}
		})
	}
}

func TestHostilePhantoms(t *testing.T) {
	s := kvtest.Faults{Done: -1, Lost: -1, Phantom: 1}.Wrap(kvtest.Memory())
	for _, step := range []func(kv.Tx) error{
		func(tx kv.Tx) error {
			return errors.Join(tx.Put([]byte("a"), []byte("1")), tx.Put([]byte("b"), []byte("2")), tx.Put([]byte("c"), []byte("3")))
		},
		func(tx kv.Tx) error { return tx.Delete([]byte("b")) },
	} {
		if err := s.Update(t.Context(), step); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		start, end string
		limit      int
		want       []string
	}{
		{"", "z", 10, []string{"a", "a\x00", "b", "c", "c\x00"}}, // b is deleted, the longer ones never were
		{"", "z", 2, []string{"a", "a\x00"}},
		{"b", "c", 10, []string{"b"}},
		{"a", "a\x00", 10, []string{"a"}},
		{"d", "z", 10, nil},
	}
	for _, test := range tests {
		var got []string
		err := s.View(t.Context(), func(r kv.Reader) error {
			rows, err := r.Scan([]byte(test.start), []byte(test.end), test.limit)
			for _, row := range rows {
				got = append(got, string(row.Key))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Scan(%q, %q, %d) (-want +got):\n%s", test.start, test.end, test.limit, diff)
		}
	}
	for _, key := range []string{"b", "a\x00"} {
		if got := get(t, s, key); got != nil {
			t.Errorf("Get(%q) = %q; Get must not see phantoms", key, got)
		}
	}
}

// A caller that goes on after the last key it saw meets every row, however
// many phantoms take the places of a page.
func TestHostilePaging(t *testing.T) {
	s := kvtest.Faults{Done: -1, Lost: -1, Phantom: 2}.Wrap(kvtest.Memory())
	want := map[string]bool{}
	for i := range 50 {
		key := fmt.Sprintf("%02d", i)
		want[key] = true
		if err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte(key), nil) }); err != nil {
			t.Fatal(err)
		}
	}
	var start []byte
	for {
		var rows []kv.Pair
		err := s.View(t.Context(), func(r kv.Reader) (err error) {
			rows, err = r.Scan(start, nil, 3)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			if bytes.Compare(row.Key, start) < 0 {
				t.Fatalf("%q is out of order", row.Key)
			}
			start = append(bytes.Clone(row.Key), 0)
			delete(want, string(row.Key))
		}
	}
	if len(want) != 0 {
		t.Errorf("paging missed %v", want)
	}
}

func TestHostileIsRepeatable(t *testing.T) {
	history := func(seed uint64) (out []bool) {
		s := kvtest.Hostile(kvtest.Memory(), seed)
		for range 100 {
			err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put([]byte("a"), nil) })
			out = append(out, err == nil)
		}
		return out
	}
	if diff := cmp.Diff(history(1), history(1)); diff != "" {
		t.Errorf("same seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(history(1), history(2)) {
		t.Error("two seeds give the same faults")
	}
}

func get(t *testing.T, s kv.Store, key string) (value []byte) {
	t.Helper()
	err := s.View(t.Context(), func(r kv.Reader) (err error) {
		value, err = r.Get([]byte(key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

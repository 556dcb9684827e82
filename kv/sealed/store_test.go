package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

var (
	key1 = bytes.Repeat([]byte{1}, sealed.KeySize)
	key2 = bytes.Repeat([]byte{2}, sealed.KeySize)
	key3 = bytes.Repeat([]byte{3}, sealed.KeySize)
)

func TestConformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		kvtest.Conformance(t, func(t *testing.T) kv.Store { return open(t, kvtest.Memory(), sealed.Options{}) })
	})
	t.Run("embedded", func(t *testing.T) {
		kvtest.Conformance(t, func(t *testing.T) kv.Store {
			path := filepath.Join(t.TempDir(), "reset.db")
			inner, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, inner, sealed.Options{Marker: inner})
			t.Cleanup(func() {
				s.Close()
				again, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(again.Check(context.Background()), again.Close()); err != nil {
					t.Error(err)
				}
			})
			return s
		})
	})
}

// What is stored is in none of the bytes below, and a login given to Index is
// in none of the keys.
func TestNothingInClear(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	index := s.Index("login", "alice@example.com")
	mustPut(t, s, string(index[:]), "password of alice")
	for _, row := range rows(t, inner) {
		for _, secret := range []string{"alice", "password", string(key1)} {
			if bytes.Contains(row.Key, []byte(secret)) || bytes.Contains(row.Value, []byte(secret)) {
				t.Errorf("the store holds %q in clear", secret)
			}
		}
	}
}

// Two writes of one value to one place look different.
func TestNoncesDiffer(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	seen := map[string]bool{}
	const n = 10000
	for range n {
		mustPut(t, s, "a", "1")
		nonce := string(raw(t, inner, "a")[:24])
		if seen[nonce] {
			t.Fatal("a nonce was used twice")
		}
		seen[nonce] = true
	}
}

// A value opens only unchanged, in its own record of its own store.
func TestDamaged(t *testing.T) {
	other := kvtest.Memory()
	mustPut(t, open(t, other, sealed.Options{}), "a", "other store")
	tests := []struct {
		name   string
		damage func(value []byte) []byte
	}{
		{"nonce", func(v []byte) []byte { v[0] ^= 1; return v }},
		{"box", func(v []byte) []byte { v[30] ^= 1; return v }},
		{"tag", func(v []byte) []byte { v[len(v)-1] ^= 0x80; return v }},
		{"cut off", func(v []byte) []byte { return v[:len(v)-1] }},
		{"longer", func(v []byte) []byte { return append(v, 0) }},
		{"short", func(v []byte) []byte { return v[:10] }},
		{"empty", func(v []byte) []byte { return []byte{} }},
		{"in clear", func(v []byte) []byte { return []byte(strings.Repeat("in clear ", 20)) }},
		{"of another store", func(v []byte) []byte { return raw(t, other, "a") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log journal
			inner := kvtest.Memory()
			s := open(t, inner, sealed.Options{Logger: log.logger()})
			mustPut(t, s, "a", "hunter2")
			mustPut(t, s, "b", "2")
			mustPut(t, inner, "a", string(test.damage(raw(t, inner, "a"))))

			for range 2 {
				wantDamaged(t, s, "a")
				if diff := cmp.Diff([]string{"b=2"}, list(t, s, 10)); diff != "" {
					t.Errorf("Scan (-want +got):\n%s", diff)
				}
			}
			if got := log.count("alarm=true"); got != 1 {
				t.Errorf("%d alarms; want 1", got)
			}
			mustPut(t, s, "a", "new") // the way out
			if diff := cmp.Diff([]string{"a=new", "b=2"}, list(t, s, 10)); diff != "" {
				t.Errorf("after replacing it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMovedAndSwapped(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	mustPut(t, s, "a", "1")
	mustPut(t, s, "b", "2")
	a, b := raw(t, inner, "a"), raw(t, inner, "b")
	mustPut(t, inner, "a", string(b))
	mustPut(t, inner, "b", string(a))
	mustPut(t, inner, "c", string(a))
	for _, key := range []string{"a", "b", "c"} {
		wantDamaged(t, s, key)
	}
}

// Damaged records at the front must not fill a page of a Scan: what is behind
// them would never be reached.
func TestScanPassesDamage(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	for _, key := range []string{"c", "e", "g", "h"} {
		mustPut(t, s, key, "ok")
	}
	for _, key := range []string{"a", "b", "d", "f"} {
		mustPut(t, inner, key, "damaged")
	}
	tests := map[int][]string{
		0:  nil,
		1:  {"c=ok"},
		3:  {"c=ok", "e=ok", "g=ok"},
		10: {"c=ok", "e=ok", "g=ok", "h=ok"},
	}
	for limit, want := range tests {
		if diff := cmp.Diff(want, list(t, s, limit)); diff != "" {
			t.Errorf("Scan with limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestPhantomsStayOut(t *testing.T) {
	inner := kvtest.Faults{Done: -1, Lost: -1, Rerun: -1, Phantom: 1}.Wrap(kvtest.Memory())
	s := open(t, inner, sealed.Options{})
	mustPut(t, s, "a", "1")
	mustPut(t, s, "b", "2")
	// A phantom of the sealed store holds the value of another record, which
	// does not open.
	if diff := cmp.Diff([]string{"a=1", "b=2"}, list(t, s, 10)); diff != "" {
		t.Errorf("Scan (-want +got):\n%s", diff)
	}
}

func TestSentinelIsReserved(t *testing.T) {
	s := open(t, kvtest.Memory(), sealed.Options{})
	reserved := []byte("\x00sentinel")
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if _, err := tx.Get(reserved); err == nil {
			t.Error("Get of the sentinel: want an error")
		}
		if err := tx.Put(reserved, nil); err == nil {
			t.Error("Put of the sentinel: want an error")
		}
		if err := tx.Delete(reserved); err == nil {
			t.Error("Delete of the sentinel: want an error")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := list(t, s, 10); got != nil {
		t.Errorf("Scan of a new store = %q", got)
	}
}

func TestIndex(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	seen := map[[32]byte][]string{}
	for _, parts := range [][]string{{"ab"}, {"a", "b"}, {"a", "b", ""}, {"", "ab"}, {"ab", ""}, {"a\x00b"}, {}} {
		index := s.Index("login", parts...)
		if other, ok := seen[index]; ok {
			t.Errorf("%q and %q have the same index", other, parts)
		}
		seen[index] = parts
	}
	if s.Index("login", "a") == s.Index("email", "a") {
		t.Error("two labels have the same index")
	}
	if got := open(t, inner, sealed.Options{}).Index("login", "a"); got != s.Index("login", "a") {
		t.Error("the index changed when the store was opened again")
	}
	if got := open(t, kvtest.Memory(), sealed.Options{}).Index("login", "a"); got == s.Index("login", "a") {
		t.Error("two stores have the same index")
	}
}

// open opens a sealed store, with key1 unless told otherwise.
func open(t testing.TB, inner kv.Store, o sealed.Options) *sealed.Store {
	t.Helper()
	if o.Keys == nil {
		o.Keys = [][]byte{key1}
	}
	s, err := sealed.Open(context.Background(), inner, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPut(t testing.TB, s kv.Store, key, value string) {
	t.Helper()
	err := s.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte(key), []byte(value)) })
	if err != nil {
		t.Fatal(err)
	}
}

func wantDamaged(t *testing.T, s kv.Store, key string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		value, err := tx.Get([]byte(key))
		if value != nil {
			t.Errorf("Get = %q; want nothing", value)
		}
		return err
	})
	if !errors.Is(err, sealed.ErrDamaged) || errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Get in Update = %v; want ErrDamaged", err)
	}
	err = s.View(t.Context(), func(r kv.Reader) error {
		_, err := r.Get([]byte(key))
		return err
	})
	if !errors.Is(err, sealed.ErrDamaged) {
		t.Errorf("Get in View = %v; want ErrDamaged", err)
	}
}

func rows(t testing.TB, s kv.Store) (rows []kv.Pair) {
	t.Helper()
	err := s.View(context.Background(), func(r kv.Reader) (err error) {
		rows, err = r.Scan(nil, nil, 1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// raw returns the value of key as the inner store has it.
func raw(t testing.TB, inner kv.Store, key string) (value []byte) {
	t.Helper()
	err := inner.View(context.Background(), func(r kv.Reader) (err error) {
		value, err = r.Get([]byte(key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func list(t testing.TB, s kv.Store, limit int) (out []string) {
	t.Helper()
	err := s.View(context.Background(), func(r kv.Reader) error {
		rows, err := r.Scan(nil, nil, limit)
		for _, row := range rows {
			out = append(out, string(row.Key)+"="+string(row.Value))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

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

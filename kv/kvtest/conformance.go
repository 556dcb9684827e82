// Package kvtest holds what tests need around package kv: a conformance suite
// that every engine must pass, an honest store in memory, and a hostile one
// that takes every liberty the contract leaves to an engine.
//
// Code that stores something is tested on [Memory] for its logic, and on
// [Hostile] around it for what it may not rely on.
package kvtest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Conformance tests that a store keeps the contract of package kv. open
// returns a new and empty store each time and releases it at the end of its
// test (t.Cleanup); the suite may have closed it by then.
//
// A store that holds less than kv.MaxValue in one value says so with a method
// MaxValue() int.
func Conformance(t *testing.T, open func(t *testing.T) kv.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, kv.Store)
	}{
		{"missing key", testMissing},
		{"put, replace, delete", testPut},
		{"empty value is not nil", testEmptyValue},
		{"slices are copies", testCopies},
		{"scan is ordered and bounded", testScan},
		{"read your writes", testReadYourWrites},
		{"error of the closure", testRefusal},
		{"panic in the closure", testPanic},
		{"limit of keys", testMaxKeys},
		{"limit of a key", testMaxKey},
		{"limit of a value", testMaxValue},
		{"limit of bytes", testMaxBytes},
		{"transaction used after its end", testEnded},
		{"context has ended", testContext},
		{"view is one snapshot", testSnapshot},
		{"view sees what has returned", testFreshness},
		{"no update is lost", testCounter},
		{"no write skew", testWriteSkew},
		{"sum is kept", testSum},
		{"closed", testClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func testMissing(t *testing.T, s kv.Store) {
	wantRow(t, s, "a", nil)
	update(t, s, func(tx kv.Tx) error {
		if value, err := tx.Get([]byte("a")); value != nil || err != nil {
			t.Errorf("Get of a missing key = %q, %v; want nil, nil", value, err)
		}
		return tx.Delete([]byte("a"))
	})
	wantRows(t, s)
}

func testPut(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "2")
	wantRows(t, s, "a", "1", "b", "2")
	put(t, s, "a", "3")
	wantRows(t, s, "a", "3", "b", "2")
	update(t, s, func(tx kv.Tx) error { return tx.Delete([]byte("a")) })
	wantRows(t, s, "b", "2")
	wantRow(t, s, "a", nil)
}

func testEmptyValue(t *testing.T, s kv.Store) {
	for _, empty := range [][]byte{nil, {}} {
		update(t, s, func(tx kv.Tx) error {
			if err := tx.Put([]byte("a"), empty); err != nil {
				return err
			}
			if value, err := tx.Get([]byte("a")); value == nil || err != nil {
				t.Errorf("Get of an own empty value = nil, %v; want not nil", err)
			}
			return nil
		})
		wantRow(t, s, "a", []byte{})
		update(t, s, func(tx kv.Tx) error {
			if value, err := tx.Get([]byte("a")); value == nil || err != nil {
				t.Errorf("Get of a stored empty value = nil, %v; want not nil", err)
			}
			return nil
		})
	}
}

func testCopies(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		key, value := []byte("key"), []byte("value")
		if err := tx.Put(key, value); err != nil {
			return err
		}
		copy(key, "###")
		copy(value, "#####")
		own, err := tx.Get([]byte("key"))
		if err != nil {
			return err
		}
		copy(own, "YYYYY")
		return nil
	})
	wantRows(t, s, "key", "value")

	update(t, s, func(tx kv.Tx) error {
		for range 2 {
			got, err := tx.Get([]byte("key"))
			if err != nil || string(got) != "value" {
				t.Errorf("Get = %q, %v; want the stored value", got, err)
			}
			copy(got, "ZZZZZ")
		}
		return nil
	})
	var kept []byte
	var rows []kv.Pair
	view(t, s, func(r kv.Reader) (err error) {
		if kept, err = r.Get([]byte("key")); err != nil {
			return err
		}
		rows, err = r.Scan(nil, nil, 10)
		return err
	})
	put(t, s, "key", "other")
	if string(kept) != "value" || len(rows) != 1 || string(rows[0].Key) != "key" || string(rows[0].Value) != "value" {
		t.Errorf("what View returned changed afterwards: %q, %q", kept, rows)
	}
	copy(kept, "ZZZZZ")
	copy(rows[0].Key, "ZZZ")
	copy(rows[0].Value, "ZZZZZ")
	wantRows(t, s, "key", "other")
}

func testScan(t *testing.T, s kv.Store) {
	put(t, s, "b", "2", "a\x00", "1", "a", "0", "\xff", "5", "ba", "3", "c", "4")
	tests := []struct {
		name       string
		start, end []byte
		limit      int
		want       string
	}{
		{"all", nil, nil, 10, "a a\x00 b ba c \xff"},
		{"start is included, end is not", []byte("a\x00"), []byte("c"), 10, "a\x00 b ba"},
		{"start between two keys", []byte("aa"), nil, 10, "b ba c \xff"},
		{"limit", nil, nil, 3, "a a\x00 b"},
		{"no limit left", nil, nil, 0, ""},
		{"empty range", []byte("b"), []byte("b"), 10, ""},
		{"end before start", []byte("c"), []byte("a"), 10, ""},
		{"past the last key", []byte("\xff\x00"), nil, 10, ""},
		{"empty start", []byte{}, []byte("b"), 10, "a a\x00"},
	}
	for _, test := range tests {
		var keys []string
		view(t, s, func(r kv.Reader) error {
			rows, err := r.Scan(test.start, test.end, test.limit)
			for _, row := range rows {
				keys = append(keys, string(row.Key))
			}
			return err
		})
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func testReadYourWrites(t *testing.T, s kv.Store) {
	put(t, s, "a", "1", "b", "2")
	update(t, s, func(tx kv.Tx) error {
		steps := []struct {
			key, put string
			del      bool
			want     []byte
		}{
			{key: "a", put: "10", want: []byte("10")},
			{key: "b", del: true, want: nil},
			{key: "c", put: "3", want: []byte("3")},
			{key: "c", del: true, want: nil},
			{key: "b", put: "20", want: []byte("20")},
		}
		for _, step := range steps {
			var err error
			if step.del {
				err = tx.Delete([]byte(step.key))
			} else {
				err = tx.Put([]byte(step.key), []byte(step.put))
			}
			if err != nil {
				return err
			}
			got, err := tx.Get([]byte(step.key))
			if err != nil {
				return err
			}
			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Errorf("own write of %q (-want +got):\n%s", step.key, diff)
			}
		}
		return nil
	})
	wantRows(t, s, "a", "10", "b", "20")
}

func put(t *testing.T, s kv.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

func update(t *testing.T, s kv.Store, fn func(kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update = %v", err)
	}
}

func view(t *testing.T, s kv.Store, fn func(kv.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View = %v", err)
	}
}

func wantRow(t *testing.T, s kv.Store, key string, want []byte) {
	t.Helper()
	view(t, s, func(r kv.Reader) error {
		got, err := r.Get([]byte(key))
		if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("value of %.20q = %.20q (%d bytes, nil: %t); want %.20q (%d bytes, nil: %t)",
				key, got, len(got), got == nil, want, len(want), want == nil)
		}
		return err
	})
}

// wantRows compares all rows with pairs of key and value.
func wantRows(t *testing.T, s kv.Store, pairs ...string) {
	t.Helper()
	view(t, s, func(r kv.Reader) error {
		rows, err := r.Scan(nil, nil, 1000)
		var got []string
		for _, row := range rows {
			got = append(got, string(row.Key), string(row.Value))
		}
		if diff := cmp.Diff(pairs, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		return err
	})
}

func numbered(i int) []byte {
	return fmt.Appendf(nil, "key %04d", i)
}

// filled returns n bytes.
func filled(n int) []byte {
	return bytes.Repeat([]byte{0xa5}, n)
}

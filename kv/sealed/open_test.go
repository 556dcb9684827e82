package sealed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

const sentinelKey = "\x00sentinel"

func TestRotation(t *testing.T) {
	inner := kvtest.Memory()
	first := open(t, inner, sealed.Options{})
	mustPut(t, first, "a", "1")
	index := first.Index("login", "alice")

	var log journal
	steps := []struct {
		name string
		keys [][]byte
		want error
		logs int
	}{
		{"another key", [][]byte{key2}, sealed.ErrKey, 0},
		{"several others", [][]byte{key3, key2}, sealed.ErrKey, 0},
		{"a new one before the old one", [][]byte{key2, key1}, nil, 1},
		{"the old one has gone", [][]byte{key2}, nil, 1},
		{"the old one fits no more", [][]byte{key1}, sealed.ErrKey, 1},
		{"two old ones", [][]byte{key3, key1, key2}, nil, 2},
		{"the newest alone", [][]byte{key3}, nil, 2},
		{"the newest and old ones", [][]byte{key3, key2, key1}, nil, 2},
	}
	for _, step := range steps {
		s, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: step.keys, Logger: log.logger()})
		if !errors.Is(err, step.want) {
			t.Errorf("%s: Open = %v; want %v", step.name, err, step.want)
		}
		if got := log.count("newest key"); got != step.logs {
			t.Errorf("%s: %d lines about the newest key; want %d", step.name, got, step.logs)
		}
		if err != nil {
			continue
		}
		if s.Index("login", "alice") != index || len(list(t, s, 10)) != 1 || s.Era() != first.Era() {
			t.Errorf("%s: index, records or era are not the same any more", step.name)
		}
	}
}

// What Rekey writes is read by the next Open, and what Close writes after it
// by the new keys: the previous ones may be gone.
func TestRekey(t *testing.T) {
	inner := kvtest.Memory()
	m := &marker{}
	var log journal
	s := open(t, inner, sealed.Options{Marker: m, Logger: log.logger()})
	mustPut(t, s, "a", "1")
	index, era := s.Index("login", "alice"), s.Era()

	steps := []struct {
		name string
		keys [][]byte
		want error
		logs int
	}{
		{"another key", [][]byte{key2}, sealed.ErrKey, 0},
		{"the same key", [][]byte{key1}, nil, 0},
		{"a new one before the old one", [][]byte{key2, key1}, nil, 1},
		{"the old one has gone", [][]byte{key2}, nil, 1},
		{"the old one fits no more", [][]byte{key1}, sealed.ErrKey, 1},
		{"a third", [][]byte{key3, key1, key2}, nil, 2},
		{"refused after that", [][]byte{key1, key2}, sealed.ErrKey, 2},
	}
	for _, step := range steps {
		if err := s.Rekey(t.Context(), step.keys); !errors.Is(err, step.want) {
			t.Errorf("%s: Rekey = %v; want %v", step.name, err, step.want)
		}
		if got := log.count("newest key"); got != step.logs {
			t.Errorf("%s: %d lines about the newest key; want %d", step.name, got, step.logs)
		}
		if diff := cmp.Diff([]string{"a=1"}, list(t, s, 10)); diff != "" {
			t.Errorf("%s: records (-want +got):\n%s", step.name, diff)
		}
	}
	for _, keys := range [][][]byte{nil, {key3, key1[:31]}} {
		if err := s.Rekey(t.Context(), keys); err == nil {
			t.Errorf("Rekey with %d keys: want an error", len(keys))
		}
	}

	before := m.generation
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if m.generation <= before || log.count("level=WARN")+log.count("level=ERROR") != 0 {
		t.Errorf("after Close: generation %d, was %d, and the log:\n%s", m.generation, before, log.buf.String())
	}
	again := open(t, inner.Copy(), sealed.Options{Keys: [][]byte{key3}})
	if again.Index("login", "alice") != index || again.Era() != era {
		t.Error("index or era are not the same any more")
	}
}

// Replacing the keys goes on until the outcome of its own update is known.
func TestRekeyHostile(t *testing.T) {
	for seed := range uint64(50) {
		inner := kvtest.Memory()
		open(t, inner, sealed.Options{})
		s := open(t, kvtest.Faults{Seed: seed, Done: 3, Lost: 3, Phantom: -1}.Wrap(inner), sealed.Options{})
		if err := s.Rekey(t.Context(), [][]byte{key2, key1}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		open(t, inner, sealed.Options{Keys: [][]byte{key2}})
	}
}

func TestRekeyWithoutSentinel(t *testing.T) {
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{})
	err := inner.Update(t.Context(), func(tx kv.Tx) error { return tx.Delete([]byte(sentinelKey)) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Rekey(t.Context(), [][]byte{key1}); !errors.Is(err, sealed.ErrSentinel) {
		t.Errorf("Rekey = %v; want ErrSentinel", err)
	}
}

func TestBadKeys(t *testing.T) {
	for _, keys := range [][][]byte{nil, {}, {nil}, {key1[:31]}, {key1, append(key2, 0)}} {
		inner := kvtest.Memory()
		if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: keys}); err == nil {
			t.Errorf("Open with %d keys: want an error", len(keys))
		}
		if inner.Len() != 0 {
			t.Error("something was stored")
		}
	}
}

func TestSentinelMissing(t *testing.T) {
	inner := kvtest.Memory()
	mustPut(t, inner, "a", "1")
	for range 2 { // the first must not leave one behind
		if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}}); !errors.Is(err, sealed.ErrSentinel) {
			t.Errorf("Open = %v; want ErrSentinel", err)
		}
	}
}

func TestSentinelDamaged(t *testing.T) {
	inner := kvtest.Memory()
	open(t, inner, sealed.Options{})
	good := raw(t, inner, sentinelKey)
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 0x40
		mustPut(t, inner, sentinelKey, string(bad))
		_, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1, key2}})
		want := sealed.ErrSentinel
		if i >= 1 && i < 9 {
			want = sealed.ErrKey // the id of the key
		}
		if !errors.Is(err, want) {
			t.Errorf("byte %d: Open = %v; want %v", i, err, want)
		}
	}
	for _, bad := range [][]byte{{}, good[:1], good[:len(good)-1], append(good, 0)} {
		mustPut(t, inner, sentinelKey, string(bad))
		if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}}); !errors.Is(err, sealed.ErrSentinel) {
			t.Errorf("%d bytes: Open = %v; want ErrSentinel", len(bad), err)
		}
	}
}

// Opening goes on until the outcome of its own updates is known, and begins
// one store, not two.
func TestOpenHostile(t *testing.T) {
	for seed := range uint64(50) {
		inner := kvtest.Memory()
		hostile := kvtest.Faults{Seed: seed, Done: 5, Lost: 5, Phantom: 2}.Wrap(inner)
		m := &marker{}
		s, err := sealed.Open(t.Context(), hostile, sealed.Options{Keys: [][]byte{key1}, Marker: m})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		index := s.Index("a")
		var log journal
		s, err = sealed.Open(t.Context(), hostile, sealed.Options{Keys: [][]byte{key1}, Marker: m, Logger: log.logger()})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if s.Index("a") != index {
			t.Errorf("seed %d: the second Open began another store", seed)
		}
		if log.count("alarm") != 0 {
			t.Errorf("seed %d: false alarm", seed)
		}
	}
}

func TestOpenGivesUp(t *testing.T) {
	inner := kvtest.Faults{Lost: 1}.Wrap(kvtest.Memory())
	if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}}); !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Open = %v; want ErrUnknown", err)
	}
}

func TestHasRecords(t *testing.T) {
	inner := kvtest.Memory()
	for _, want := range []bool{false, true} {
		if got, err := sealed.HasRecords(t.Context(), inner); got != want || err != nil {
			t.Errorf("HasRecords = %t, %v; want %t", got, err, want)
		}
		open(t, inner, sealed.Options{})
	}
}

func ExampleOpen() {
	inner := kvtest.Memory()
	key, err := sealed.ParseKey("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
	if err != nil {
		panic(err)
	}
	s, err := sealed.Open(context.Background(), inner, sealed.Options{Keys: [][]byte{key}})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	index := s.Index("account", "example.com", "42")
	err = s.Update(context.Background(), func(tx kv.Tx) error {
		return tx.Put(append([]byte("account/"), index[:]...), []byte("a secret"))
	})
	fmt.Println(err)
	// Output: <nil>
}

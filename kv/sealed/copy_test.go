package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// embedded opens a store on a file that holds data, or is new.
func embedded(t *testing.T, data []byte) *embeddedstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reset.db")
	if data != nil {
		c, err := embeddedstore.Receive(t.Context(), path, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Install(); err != nil {
			t.Fatal(err)
		}
		if err := c.Discard(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestExports(t *testing.T) {
	kvtest.Exports(t, func(t *testing.T) kv.Store {
		inner := embedded(t, nil)
		return open(t, inner, sealed.Options{Marker: inner})
	}, func(t *testing.T, copy []byte) kv.Store {
		return open(t, embedded(t, copy), sealed.Options{})
	})
}

func TestExportUnsupported(t *testing.T) {
	s := open(t, kvtest.Memory(), sealed.Options{})
	if err := s.Export(t.Context(), io.Discard, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Export = %v; want ErrUnsupported", err)
	}
}

// A copy is older as soon as a byte of it has left, also if the run never comes
// to its end.
func TestExportIsOlderAfterACrash(t *testing.T) {
	var copy bytes.Buffer
	m := &marker{}
	s := open(t, embedded(t, nil), sealed.Options{Marker: m})
	if err := s.Export(t.Context(), &copy, nil); err != nil {
		t.Fatal(err)
	}
	crashed := marker{generation: m.generation}
	var log journal
	again := open(t, embedded(t, copy.Bytes()), sealed.Options{Marker: &crashed, Logger: log.logger()})
	if again.Era() <= s.Era() || log.count("alarm=true") != 1 {
		t.Errorf("era %d after %d, %d alarms; want a later one and one", again.Era(), s.Era(), log.count("alarm=true"))
	}
}

// Where that cannot be noted, nothing leaves.
func TestExportNotNoted(t *testing.T) {
	m := &marker{}
	s := open(t, embedded(t, nil), sealed.Options{Marker: m})
	m.fail = true
	var copy bytes.Buffer
	if err := s.Export(t.Context(), &copy, nil); !errors.Is(err, errMarker) || copy.Len() > 0 {
		t.Errorf("Export = %v after %d bytes; want %v before the first", err, copy.Len(), errMarker)
	}
	m.fail = false
}

// A viewer changes nothing, whatever it is asked.
type viewer struct{ inner kv.Store }

func (v viewer) View(ctx context.Context, fn func(kv.Reader) error) error {
	return v.inner.View(ctx, fn)
}

func TestVerify(t *testing.T) {
	inner := kvtest.Memory()
	m := &marker{}
	s := open(t, inner, sealed.Options{Marker: m})
	for i := range 250 {
		mustPut(t, s, string(rune('a'+i)), "1")
	}
	records := viewer{inner}
	generation, err := sealed.Verify(t.Context(), records, [][]byte{key2, key1})
	if generation != m.generation || err != nil {
		t.Errorf("Verify = %d, %v; want %d", generation, err, m.generation)
	}
	if _, err := sealed.Verify(t.Context(), records, [][]byte{key2}); !errors.Is(err, sealed.ErrKey) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := sealed.Verify(t.Context(), viewer{kvtest.Memory()}, [][]byte{key1}); !errors.Is(err, sealed.ErrSentinel) {
		t.Errorf("a store that holds nothing: %v", err)
	}
	// The last one, which is on the last page.
	err = inner.Update(t.Context(), func(tx kv.Tx) error {
		key := []byte(string(rune('a' + 249)))
		value, err := tx.Get(key)
		if err != nil {
			return err
		}
		value[len(value)-1] ^= 1
		return tx.Put(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealed.Verify(t.Context(), records, [][]byte{key1}); !errors.Is(err, sealed.ErrDamaged) {
		t.Errorf("with a damaged record: %v", err)
	}
}

// Fits tells what Open would say, and Open would then find the store as it was.
func TestFits(t *testing.T) {
	inner := kvtest.Memory()
	m := &marker{}
	if err := sealed.Fits(t.Context(), inner, [][]byte{key1}); !errors.Is(err, sealed.ErrSentinel) {
		t.Errorf("a store that holds nothing: %v", err)
	}
	if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}, Marker: m}); err != nil {
		t.Fatal(err)
	}
	before := m.generation
	if err := sealed.Fits(t.Context(), viewer{inner}, [][]byte{key2}); !errors.Is(err, sealed.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if err := sealed.Fits(t.Context(), viewer{inner}, [][]byte{key2, key1}); err != nil {
		t.Errorf("a newer key above it: %v", err)
	}
	if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}, Marker: m}); err != nil || m.generation != before+1 {
		t.Errorf("opened after that: %v; generation %d, want %d", err, m.generation, before+1)
	}
}

// A copy counts as older than what m has seen, or than nothing.
func TestOutdate(t *testing.T) {
	for _, tt := range []struct{ seen, generation, want uint64 }{{0, 5, 6}, {5, 5, 6}, {6, 5, 6}, {9, 5, 9}} {
		m := &marker{generation: tt.seen}
		if err := sealed.Outdate(m, tt.generation); err != nil || m.generation != tt.want {
			t.Errorf("seen %d, copy of %d: %d, %v; want %d", tt.seen, tt.generation, m.generation, err, tt.want)
		}
	}
}

package embeddedstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// filled returns the bytes of a store with some rows, on several levels of
// pages, and free pages.
func filled(t testing.TB) []byte {
	path := newPath(t)
	s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		err := s.Update(context.Background(), func(tx kv.Tx) error {
			for j := range 20 {
				if err := tx.Put([]byte(key(20*i+j)), bytes.Repeat([]byte{byte(j)}, 200)); err != nil {
					return err
				}
			}
			if i > 0 {
				return tx.Delete([]byte(key(20 * (i - 1))))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A file that is no store is refused, kept as it is, and the message says
// which file, why, and what to do.
func TestOpenBadFile(t *testing.T) {
	good := filled(t)
	tests := map[string][]byte{
		"empty":            {},
		"text":             []byte(strings.Repeat("not a database\n", 1000)),
		"zeros":            make([]byte, 64<<10),
		"half":             good[:len(good)/2],
		"two pages":        good[:8192],
		"four pages":       good[:16384],
		"not a whole page": good[:5000],
		"one byte":         good[:1],
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/reset.db"
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time shows that no lock is left
				s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
				if err == nil {
					s.Close()
					t.Fatal("Open succeeded")
				}
				if !errors.Is(err, embeddedstore.ErrDamaged) {
					t.Errorf("Open = %v; want ErrDamaged", err)
				}
				for _, want := range []string{path, "backup"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("Open = %v; does not name %q", err, want)
					}
				}
				// What bbolt says of it depends on what lies behind the end.
				if short := name == "half" || name == "four pages"; short && !strings.Contains(err.Error(), "missing at its end") {
					t.Errorf("Open = %v; does not say that pages are missing", err)
				}
			}
			if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, data) {
				t.Error("the bad file was changed")
			}
		})
	}
}

// Whatever bytes are turned over, nothing panics: opening, reading, writing,
// checking and closing return.
func TestTrialFlippedBytes(t *testing.T) {
	tr := trial.New(t, "bytes of the store turned over")
	good := [][]byte{filled(t), withoutList(t)}
	random := tr.Rand(1)
	opened, found := 0, 0
	for n := range tr.Size(100, 3000) {
		tr.Run()
		data := bytes.Clone(good[n%len(good)])
		at := random.IntN(len(data) - 64)
		if random.IntN(2) == 0 {
			at = random.IntN(len(data)/4096)*4096 + random.IntN(64) // headers of pages
		}
		for i := range 1 + random.IntN(16) {
			data[at+i] ^= byte(1 + random.IntN(255))
		}
		if use(t, data) {
			opened++
		} else {
			found++
		}
	}
	tr.Figures(fmt.Sprintf("%d files opened, %d were refused", opened, found))
	if opened == 0 || found == 0 {
		t.Errorf("%d files opened and %d were refused; want some of both", opened, found)
	}
}

func FuzzOpen(f *testing.F) {
	listed, unlisted := filled(f), withoutList(f)
	f.Add([]byte{0xff}, uint32(0))
	f.Add([]byte{0xff, 0xff}, uint32(4096+10))
	f.Fuzz(func(t *testing.T, patch []byte, at uint32) {
		for _, good := range [][]byte{listed, unlisted} {
			data := bytes.Clone(good)
			copy(data[int(at)%len(data):], patch)
			use(t, data)
		}
	})
}

// use does all that can be done with a store of these bytes, and reports
// whether it opened.
func use(t *testing.T, data []byte) bool {
	path := t.TempDir() + "/reset.db"
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
	if err != nil {
		return false
	}
	_ = s.View(t.Context(), func(r kv.Reader) error {
		_, err := r.Scan(nil, nil, 10000)
		return err
	})
	for i := range 10 {
		_, _ = get(s, key(50*i))
		_ = put(s, key(50*i), "new")
	}
	_ = s.Check(t.Context())
	_ = s.Close()
	return true
}

// A row larger than any that was stored is damage, and must not be copied.
func TestRowTooLarge(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "b", "2")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("kv")).Put([]byte("a"), make([]byte, kv.MaxValue+1))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if _, err := get(s, "a"); !errors.Is(err, embeddedstore.ErrDamaged) {
		t.Errorf("Get = %v; want ErrDamaged", err)
	}
	err = s.View(t.Context(), func(r kv.Reader) error {
		_, err := r.Scan(nil, nil, 10)
		return err
	})
	if !errors.Is(err, embeddedstore.ErrDamaged) {
		t.Errorf("Scan = %v; want ErrDamaged", err)
	}
	if got := mustGet(t, s, "b"); got != "2" {
		t.Errorf("the row beside it: %q", got)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	path := t.TempDir() + "/reset.db"
	// A page that is neither in use nor free: it would never be used again.
	forgotten := filled(t)
	for page := 2 * 4096; page < len(forgotten); page += 4096 {
		if count := forgotten[page+10:]; binary.NativeEndian.Uint16(forgotten[page+8:]) == 0x10 && count[0] > 0 {
			count[0]--
		}
	}
	if err := os.WriteFile(path, forgotten, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, embeddedstore.ErrDamaged) {
		t.Errorf("Check = %v; want ErrDamaged", err)
	}
	s.Close()

	// A key in the middle of a leaf, changed after the file was opened: reading
	// that row finds nothing, but the order of the keys is broken.
	data := filled(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	scribble(t, path, []byte("zzz"), int64(bytes.LastIndex(data, []byte(key(301)))))
	if err := s.Check(t.Context()); !errors.Is(err, embeddedstore.ErrDamaged) {
		t.Errorf("Check = %v; want ErrDamaged", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	big := openNew(t)
	for i := range 30 {
		err := big.Update(t.Context(), func(tx kv.Tx) error {
			for j := range 50 {
				if err := tx.Put([]byte(key(50*i+j)), nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := big.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v; want context.Canceled", err)
	}
}

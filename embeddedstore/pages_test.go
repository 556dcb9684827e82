package embeddedstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

// A list of free pages that claims to be longer than the file: bbolt would
// count its pages for minutes, and remember each.
func TestOpenEndlessList(t *testing.T) {
	data := filled(t)
	for page := 0; page < len(data); page += 4096 {
		if binary.NativeEndian.Uint16(data[page+8:]) == 0x10 {
			binary.NativeEndian.PutUint32(data[page+12:], 1<<32-1)
		}
	}
	path := t.TempDir() + "/reset.db"
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path}); !errors.Is(err, embeddedstore.ErrDamaged) {
		t.Errorf("Open = %v; want ErrDamaged", err)
		s.Close()
	}
}

// What bbolt would build on, or with no list of free pages trip over where
// nobody can catch it, is found before it sees the file.
func TestOpenDamagedPage(t *testing.T) {
	const branch, leaf = "branch", "leaf"
	word16, word32, word64 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32, binary.NativeEndian.PutUint64
	at := binary.NativeEndian.Uint32
	tests := []struct {
		name   string
		of     string // kind of page
		damage func(page []byte)
	}{
		{"of another number", leaf, func(p []byte) { p[0]++ }},
		{"of an unknown kind", leaf, func(p []byte) { word16(p[8:], 0x40) }},
		{"of the wrong kind", leaf, func(p []byte) { word16(p[8:], 1) }},
		{"longer than the file", leaf, func(p []byte) { word32(p[12:], 1<<31) }},
		{"over the next one", leaf, func(p []byte) { word32(p[12:], 1) }},
		{"with too many rows", leaf, func(p []byte) { word16(p[10:], 60000) }},
		{"with a row beyond it", leaf, func(p []byte) { word32(p[16+12:], 1<<30) }},
		{"with a key beyond it", leaf, func(p []byte) { word32(p[16+4:], 1<<31) }},
		{"with keys that do not ascend", leaf, func(p []byte) { p[32+at(p[32+4:])] = 0 }},
		{"with a key of an earlier page", leaf, func(p []byte) { p[16+at(p[16+4:])] = 0 }},
		{"with a key of a later page", leaf, func(p []byte) {
			last := 16 * int(binary.NativeEndian.Uint16(p[10:]))
			p[last+int(at(p[last+4:]))] = 0xff
		}},
		{"with a cut-off bucket", leaf, func(p []byte) { word32(p[16:], 1); word32(p[16+12:], 3) }},
		{"with no way down", branch, func(p []byte) { word16(p[10:], 0) }},
		{"with a way out of the file", branch, func(p []byte) { word64(p[16+8:], 1<<40) }},
		{"with a way to itself", branch, func(p []byte) { copy(p[16+8:16+16], p[:8]) }},
		// A write to one side would change the other.
		{"with two ways to one page", branch, func(p []byte) { copy(p[32+8:32+16], p[16+8:16+16]) }},
		{"with ways that do not ascend", branch, func(p []byte) { p[32+at(p[32:])] = 0 }},
		{"with a key of a way beyond it", branch, func(p []byte) { word32(p[16+4:], 1<<31) }},
	}
	for name, good := range map[string][]byte{"list": filled(t), "no list": withoutList(t)} {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				path := t.TempDir() + "/reset.db"
				if err := os.WriteFile(path, good, 0o600); err != nil {
					t.Fatal(err)
				}
				page, at := firstInUse(t, path, tt.of)
				tt.damage(page)
				scribble(t, path, page, at)
				for range 2 { // the second time shows that no lock is left
					s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path})
					if err == nil {
						s.Close()
						t.Fatal("Open succeeded")
					}
					if !errors.Is(err, embeddedstore.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
						t.Errorf("Open = %v; want ErrDamaged with the path and the remedy", err)
					}
					if !strings.Contains(err.Error(), " page ") {
						t.Errorf("Open = %v; want it to be found by our own walk", err)
					}
				}
			})
		}
	}
}

// firstInUse returns the page of that kind with the lowest keys of a filled
// store, and where it is in the file.
func firstInUse(t testing.TB, path, kind string) (page []byte, at int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for at = 2 * 4096; at < tx.Size(); at += 4096 {
			info, err := tx.Page(int(at / 4096))
			if err != nil {
				return err
			}
			page = data[at : at+4096]
			if info.Type == kind && (kind == "branch" || bytes.Contains(page, []byte(key(1)))) {
				return nil
			}
		}
		return errors.New("there is none")
	})
	if err != nil {
		t.Fatal(err)
	}
	return page, at
}

// scribble writes over the file at path.
func scribble(t testing.TB, path string, data []byte, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(data, at)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

package embeddedstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// While the store is in use, a damaged page is an error to whoever needs it, and
// must not end the process when bbolt looks for free pages after that.
func TestDamagedWhileRunning(t *testing.T) {
	for _, damage := range damages {
		for _, exits := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/exits=%t", damage.name, exits), func(t *testing.T) {
				s := flooded(t, embeddedstore.Options{})
				defer s.Close()
				damageWhileOpen(t, s.Path(), damage.do)
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					if exits {
						runtime.Goexit()
					}
					return tx.Put([]byte(key(3910)), []byte("new"))
				})
				if !errors.Is(err, kv.ErrUnknown) || !exits && !errors.Is(err, embeddedstore.ErrDamaged) {
					t.Errorf("Update = %v", err)
				}
				mustPut(t, s, "live", "2")
				if got := mustGet(t, s, "live"); got != "2" || hasList(t, s.Path()) {
					t.Errorf("the row on a good page: %q", got)
				}
			})
		}
	}
}

// A damaged page may be met in the commit itself, when what is left on a page is
// put together with its neighbour. Nobody knows what bbolt holds to be free then.
func TestDamagedInCommit(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			var log journal
			s := flooded(t, embeddedstore.Options{Logger: log.logger()})
			damageWhileOpen(t, s.Path(), damage.do)
			var err error
			for i := 3999; err == nil && i > 3990; i-- {
				err = s.Update(t.Context(), func(tx kv.Tx) error { return tx.Delete([]byte(key(i))) })
			}
			if !errors.Is(err, embeddedstore.ErrDamaged) || !errors.Is(err, kv.ErrUnknown) {
				t.Errorf("Update = %v; want ErrDamaged and ErrUnknown", err)
			}
			if _, err := get(s, "live"); !errors.Is(err, embeddedstore.ErrDamaged) {
				t.Errorf("View = %v; want ErrDamaged", err)
			}
			if got := log.count("taken out of use"); got == 0 {
				t.Error("nothing in the log")
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			_, err = embeddedstore.Open(t.Context(), embeddedstore.Options{Path: s.Path(), Timeout: 1})
			if !errors.Is(err, embeddedstore.ErrDamaged) {
				t.Errorf("Open = %v; want ErrDamaged, and no lock", err)
			}
		})
	}
}

// damages are done to the pages of a flooded store, but for those on the way to
// its last row.
var damages = []struct {
	name string
	do   func(page []byte)
}{
	{"another kind", func(page []byte) { page[8] = 0x40 }},
	{"another number", func(page []byte) { page[0]++ }},
	{"no elements", func(page []byte) { clear(page[16:]) }},
}

func damageWhileOpen(t testing.TB, path string, damage func(page []byte)) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 2 * 4096; at < len(data); at += 4096 {
		page := data[at : at+4096]
		flags, count := binary.NativeEndian.Uint16(page[8:]), binary.NativeEndian.Uint16(page[10:])
		if flags == 2 && count > 1 && !bytes.Contains(page, []byte("live")) {
			damage(page)
			scribble(t, path, page, int64(at))
		}
	}
}

// Where the way to every row begins, a damaged page is met before any closure runs:
// whoever waits gets an answer all the same.
func TestDamagedRootWhileRunning(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			var log journal
			s := flooded(t, embeddedstore.Options{Logger: log.logger()})
			defer s.Close()
			page, at := rootPage(t, s.Path())
			damage.do(page)
			scribble(t, s.Path(), page, at)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				err := s.Update(ctx, func(tx kv.Tx) error { return tx.Put([]byte("live"), []byte("2")) })
				if !errors.Is(err, embeddedstore.ErrDamaged) || !errors.Is(err, kv.ErrUnknown) {
					t.Fatalf("Update = %v; want ErrDamaged and ErrUnknown", err)
				}
				if _, err := get(s, "live"); !errors.Is(err, embeddedstore.ErrDamaged) {
					t.Errorf("View = %v; want ErrDamaged", err)
				}
			}
			if got := log.count("level=ERROR"); got == 0 || got > 3 {
				t.Errorf("%d lines in the log", got)
			}
		})
	}
}

// rootPage returns the page that the newest meta page names as the root of all.
func rootPage(t *testing.T, path string) (page []byte, at int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := uint64(0)
	for meta := range slices.Chunk(data[:2*4096], 4096) {
		if id := binary.NativeEndian.Uint64(meta[16+48:]); id >= newest {
			newest, at = id, int64(binary.NativeEndian.Uint64(meta[16+16:]))*4096
		}
	}
	return data[at : at+4096], at
}

// Whoever copies a file over the open one empties it first. A transaction that
// begins then finds no meta page, and bbolt keeps its locks.
func TestEmptiedWhileOpen(t *testing.T) {
	for _, first := range []string{"View", "Update"} {
		t.Run(first+" first", func(t *testing.T) {
			s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: newPath(t)})
			if err != nil {
				t.Fatal(err)
			}
			mustPut(t, s, "a", "1")
			if err := os.Truncate(s.Path(), 0); err != nil {
				t.Fatal(err)
			}
			view := func() error { return s.View(t.Context(), func(kv.Reader) error { return nil }) }
			update := func() error { return put(s, "a", "2") }
			if first == "Update" {
				view, update = update, view
			}
			for range 3 {
				for _, do := range []func() error{view, update} {
					result := make(chan error, 1)
					go func() { result <- do() }()
					select {
					case err := <-result:
						if !errors.Is(err, embeddedstore.ErrDamaged) {
							t.Errorf("got %v; want ErrDamaged", err)
						}
					case <-time.After(20 * time.Second):
						t.Fatal("got no answer")
					}
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same among many: each meets the file in another state, and all of them get
// an answer.
func TestEmptiedWhileBusy(t *testing.T) {
	for n := range 10 {
		s, err := embeddedstore.Open(t.Context(), embeddedstore.Options{Path: newPath(t)})
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "a", "1")
		broken := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for err := error(nil); err == nil; {
					_, err = get(s, "a")
				}
			})
			all.Go(func() {
				for err := error(nil); err == nil; {
					err = put(s, "a", "2")
				}
			})
		}
		go func() {
			all.Wait()
			s.Close()
			close(broken)
		}()
		// A commit that is under way may write anew all that was overwritten: then
		// nothing is lost, and nobody has to notice.
		for began := time.Now(); ; {
			if n%2 == 0 {
				err = os.Truncate(s.Path(), 0)
			} else {
				scribble(t, s.Path(), make([]byte, 2*4096), 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-broken:
			case <-time.After(time.Millisecond):
				if time.Since(began) > 20*time.Second {
					t.Fatal("somebody got no answer")
				}
				continue
			}
			break
		}
	}
}

package kvtest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Exports tests that a store keeps the contract of kv.Exporter. open is that of
// [Conformance]; reopen returns a store that holds what the copy does, and
// releases it at the end of its test.
func Exports(t *testing.T, open func(t *testing.T) kv.Store, reopen func(t *testing.T, copy []byte) kv.Store) {
	export := func(t *testing.T, s kv.Store) []byte {
		t.Helper()
		var copy bytes.Buffer
		if err := s.(kv.Exporter).Export(t.Context(), &copy, nil); err != nil {
			t.Fatalf("Export = %v", err)
		}
		return copy.Bytes()
	}
	t.Run("the copy holds all rows, and the store goes on", func(t *testing.T) {
		s := open(t)
		put(t, s, "a", "1", "b", string(filled(10<<10)), "c", "")
		put(t, s, "gone", "1")
		update(t, s, func(tx kv.Tx) error { return tx.Delete([]byte("gone")) })
		copy := export(t, s)
		put(t, s, "a", "2")
		wantRows(t, reopen(t, copy), "a", "1", "b", string(filled(10<<10)), "c", "")
		wantRows(t, s, "a", "2", "b", string(filled(10<<10)), "c", "")
	})
	t.Run("one moment, which has passed when the first byte is written", func(t *testing.T) {
		s := open(t)
		put(t, s, "a", "before")
		var copy bytes.Buffer
		w := writerFunc(func(p []byte) (int, error) {
			if copy.Len() == 0 {
				put(t, s, "a", "after", "b", "after")
			}
			return copy.Write(p)
		})
		if err := s.(kv.Exporter).Export(t.Context(), w, nil); err != nil {
			t.Fatalf("Export = %v", err)
		}
		wantRows(t, reopen(t, copy.Bytes()), "a", "before")
		wantRows(t, s, "a", "after", "b", "after")
	})
	t.Run("one moment while others write", func(t *testing.T) { testExportUnderLoad(t, open(t), export, reopen) })
	t.Run("progress", func(t *testing.T) {
		s := open(t)
		for i := range 60 {
			put(t, s, string(numbered(i)), string(filled(60<<10)))
		}
		var copy bytes.Buffer
		last, calls, all := int64(0), 0, int64(0)
		err := s.(kv.Exporter).Export(t.Context(), &copy, func(done, total int64) {
			if done < last || done > total || calls > 0 && total != all {
				t.Errorf("progress went from %d of %d to %d of %d", last, all, done, total)
			}
			last, all = done, total
			calls++
		})
		if err != nil || calls < 2 || last != all || last != int64(copy.Len()) {
			t.Errorf("Export = %v; %d calls, the last with %d of %d; %d bytes were written", err, calls, last, all, copy.Len())
		}
	})
	t.Run("writer that fails", func(t *testing.T) {
		s := open(t)
		full := errors.New("full")
		err := s.(kv.Exporter).Export(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full }), nil)
		if !errors.Is(err, full) {
			t.Errorf("Export = %v; want that of the writer", err)
		}
		put(t, s, "a", "1")
	})
	t.Run("context has ended", func(t *testing.T) {
		s := open(t)
		for i := range 60 {
			put(t, s, string(numbered(i)), string(filled(60<<10)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		wrote := 0
		err := s.(kv.Exporter).Export(ctx, writerFunc(func(p []byte) (int, error) {
			wrote++
			cancel()
			return len(p), nil
		}), nil)
		if !errors.Is(err, context.Canceled) || wrote != 1 {
			t.Errorf("Export = %v after %d writes; want context.Canceled after one", err, wrote)
		}
		put(t, s, "a", "1")
	})
	t.Run("closed", func(t *testing.T) {
		s := open(t)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wrote := false
		err := s.(kv.Exporter).Export(t.Context(), writerFunc(func(p []byte) (int, error) { wrote = true; return len(p), nil }), nil)
		if err == nil || wrote {
			t.Errorf("Export = %v, written: %t", err, wrote)
		}
	})
}

// testExportUnderLoad copies a store whose writers raise two rows together, far
// from each other.
func testExportUnderLoad(t *testing.T, s kv.Store, export func(*testing.T, kv.Store) []byte, reopen func(*testing.T, []byte) kv.Store) {
	const writers = 4
	for i := range 20 {
		put(t, s, "m"+string(numbered(i)), string(filled(60<<10)))
	}
	ctx, stop := context.WithCancel(t.Context())
	begun := make(chan struct{}, writers)
	var wg sync.WaitGroup
	for w := range writers {
		name := strconv.Itoa(w)
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				err := s.Update(t.Context(), func(tx kv.Tx) error {
					value := append(strconv.AppendInt(nil, int64(n), 10), filled(n%2000)...)
					if err := tx.Put([]byte("a"+name), value); err != nil {
						return err
					}
					return tx.Put([]byte("z"+name), value)
				})
				if err != nil {
					t.Errorf("Update = %v", err)
					return
				}
				if n == 1 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-begun
	}
	var copies [][]byte
	for range 5 {
		copies = append(copies, export(t, s))
	}
	stop()
	wg.Wait()
	for i, copy := range copies {
		again := reopen(t, copy)
		view(t, again, func(r kv.Reader) error {
			for w := range writers {
				a, err := r.Get([]byte("a" + strconv.Itoa(w)))
				if err != nil {
					return err
				}
				z, err := r.Get([]byte("z" + strconv.Itoa(w)))
				if err != nil {
					return err
				}
				if len(a) == 0 || !bytes.Equal(a, z) {
					t.Errorf("copy %d holds half an update of writer %d: %.10q and %.10q", i, w, a, z)
				}
			}
			return nil
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

package kvtest

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Sizes of the tests with several goroutines: enough to interleave on two
// cores, few enough for a disk that takes a millisecond to sync.
const (
	workers = 8
	rounds  = 25
)

func testSnapshot(t *testing.T, s kv.Store) {
	put(t, s, "a", "old")
	written := make(chan error, 1)
	view(t, s, func(r kv.Reader) error {
		// The first read comes after the Update, if the engine lets it pass:
		// the snapshot is the one of the start, not of the first read.
		go func() {
			written <- s.Update(t.Context(), func(tx kv.Tx) error {
				return errors.Join(tx.Put([]byte("a"), []byte("new")), tx.Put([]byte("b"), []byte("new")))
			})
		}()
		select {
		case err := <-written:
			written <- err
		case <-time.After(100 * time.Millisecond): // an engine may make it wait
		}
		if got, err := r.Get([]byte("a")); err != nil || string(got) != "old" {
			t.Errorf("Get in an older snapshot = %q, %v; want %q", got, err, "old")
		}
		rows, err := r.Scan(nil, nil, 10)
		if len(rows) != 1 || string(rows[0].Value) != "old" {
			t.Errorf("Scan of an older snapshot = %q; want one row, old", rows)
		}
		return err
	})
	if err := <-written; err != nil {
		t.Errorf("Update beside a View = %v", err)
	}
	wantRows(t, s, "a", "new", "b", "new")
}

func testFreshness(t *testing.T, s kv.Store) {
	concurrently(func(worker int) {
		for i := range rounds {
			want := uint64(i + 1)
			err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put(numbered(worker), number(want)) })
			if err != nil {
				t.Errorf("Update = %v", err)
			}
			err = s.View(t.Context(), func(r kv.Reader) error {
				value, err := r.Get(numbered(worker))
				if got := parsed(value); got != want {
					t.Errorf("View after Update of %d sees %d", want, got)
				}
				return err
			})
			if err != nil {
				t.Errorf("View = %v", err)
			}
		}
	})
}

func testCounter(t *testing.T, s kv.Store) {
	concurrently(func(int) {
		for range rounds {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				value, err := tx.Get([]byte("counter"))
				if err != nil {
					return err
				}
				return tx.Put([]byte("counter"), number(parsed(value)+1))
			})
			if err != nil {
				t.Errorf("Update = %v", err)
			}
		}
	})
	wantRow(t, s, "counter", number(workers*rounds))
}

// testWriteSkew has each update read all keys and write its own only if no
// other is set: under snapshot isolation two could both succeed.
func testWriteSkew(t *testing.T, s kv.Store) {
	taken := errors.New("taken")
	for range rounds {
		update(t, s, func(tx kv.Tx) error {
			for i := range workers {
				if err := tx.Delete(numbered(i)); err != nil {
					return err
				}
			}
			return nil
		})
		var mu sync.Mutex
		won := 0
		concurrently(func(worker int) {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				for i := range workers {
					value, err := tx.Get(numbered(i))
					if err != nil {
						return err
					}
					if value != nil {
						return taken
					}
				}
				return tx.Put(numbered(worker), []byte("mine"))
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case err != taken:
				t.Errorf("Update = %v", err)
			}
		})
		if won != 1 {
			t.Fatalf("%d updates won; want 1", won)
		}
	}
}

// testSum moves amounts between keys while others look: every snapshot has
// the same sum, and an update that refuses in the middle moves nothing.
func testSum(t *testing.T, s kv.Store) {
	const each, amount = 100, 7
	update(t, s, func(tx kv.Tx) error {
		for i := range workers {
			if err := tx.Put(numbered(i), number(each)); err != nil {
				return err
			}
		}
		return nil
	})
	refused := errors.New("refused")
	concurrently(func(worker int) {
		for i := range rounds {
			from, to := numbered((worker+i)%workers), numbered((worker*3+i*5+1)%workers)
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				value, err := tx.Get(from)
				if err != nil {
					return err
				}
				if err := tx.Put(from, number(parsed(value)-amount)); err != nil {
					return err
				}
				if parsed(value) < amount || i%5 == 0 {
					return refused
				}
				if value, err = tx.Get(to); err != nil {
					return err
				}
				return tx.Put(to, number(parsed(value)+amount))
			})
			if err != nil && err != refused {
				t.Errorf("Update = %v", err)
			}
			err = s.View(t.Context(), func(r kv.Reader) error {
				rows, err := r.Scan(nil, nil, 2*workers)
				var sum uint64
				for _, row := range rows {
					sum += parsed(row.Value)
				}
				if sum != workers*each {
					t.Errorf("a snapshot has the sum %d; want %d", sum, workers*each)
				}
				return err
			})
			if err != nil {
				t.Errorf("View = %v", err)
			}
		}
	})
}

func concurrently(fn func(worker int)) {
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() { fn(i) })
	}
	group.Wait()
}

func number(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)
}

func parsed(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(value)
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// siteID names the site that grown stores belong to: by default a site is named
// by its address, which is another one at each start.
const siteID = "bench"

// A cohort is a row of grants that were minted evenly in a span of time, each for
// an account of its own. Everything in it follows from a number, so that the
// token of any of them is known without being kept.
type cohort struct {
	first, count int // by number: no two cohorts of a store share one
	oldest       time.Time
	span         time.Duration
	expired      bool // rows whose time is over are there, as after a long time off
}

// holder is the login of the account that holds the n-th grant. All are equally
// long. Nobody asks for a mail for them: what a load asks for is new.
func holder(n int) string { return fmt.Sprintf("holder-%07d", n) }

// minted is when the n-th grant was, in milliseconds.
func (c cohort) minted(n int) int64 {
	return c.oldest.UnixMilli() + c.span.Milliseconds()*int64(n-c.first)/int64(c.count)
}

// token is what the mail with the n-th grant held: time, and bytes that look as
// random as those they stand for.
func (c cohort) token(n int) string {
	raw := c.raw(n)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func (c cohort) raw(n int) (raw [48]byte) {
	binary.BigEndian.PutUint64(raw[:], uint64(c.minted(n))<<16)
	random := sha256.Sum256(fmt.Append(nil, "grant ", n))
	copy(raw[6:16], random[:])
	verifier := sha256.Sum256(fmt.Append(nil, "verifier ", n))
	copy(raw[16:], verifier[:])
	return raw
}

// fillStore writes the rows of the cohorts into a store, which nobody has open and
// in which one mail was sent, to holder 0, with that token.
func fillStore(ctx context.Context, path, token string, cohorts ...cohort) error {
	key, err := sealed.LoadKeyFile(filepath.Join(filepath.Dir(path), "reset.key"))
	if err != nil {
		return err
	}
	inner, err := openBulk(path)
	if err != nil {
		return err
	}
	store, err := sealed.Open(ctx, inner, sealed.Options{Keys: [][]byte{key}})
	if err != nil {
		return errors.Join(err, inner.Close())
	}
	m, err := takeMould(ctx, store, token)
	if err == nil {
		err = m.fill(ctx, inner, cohorts)
	}
	return errors.Join(err, store.Close())
}

// overdue counts the places in the expiry index of a store that a sweeper has yet
// to look at: one for each grant of a time when no server swept.
func overdue(path string) (n int, err error) {
	inner, err := openBulk(path)
	if err != nil {
		return 0, err
	}
	defer inner.Close()
	err = inner.View(context.Background(), func(r kv.Reader) error {
		end := appendTime(nil, time.Now().UnixMilli())
		for from := []byte{'x'}; ; {
			found, err := r.Scan(from, end, 10_000)
			if err != nil || len(found) == 0 {
				return err
			}
			n += len(found)
			from = append(found[len(found)-1].Key, 0)
		}
	})
	return n, err
}

// A bulk is a kv.Store on the file of an embedded store that knows no bounds and
// syncs at its end only.
type bulk struct {
	db   *bbolt.DB
	full float64 // how full a page may get before it is split
}

func openBulk(path string) (*bulk, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: false, NoGrowSync: true, FreelistType: bbolt.FreelistMapType})
	return &bulk{db: db, full: bbolt.DefaultFillPercent}, err
}

// View implements [kv.Store].
func (b *bulk) View(_ context.Context, fn func(kv.Reader) error) error {
	return b.db.View(func(tx *bbolt.Tx) error { return fn(bulkTx{rows(tx)}) })
}

// Update implements [kv.Store].
func (b *bulk) Update(_ context.Context, fn func(kv.Tx) error) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		bucket := rows(tx)
		bucket.FillPercent = b.full
		return fn(bulkTx{bucket})
	})
}

// Close implements [kv.Store].
func (b *bulk) Close() error { return errors.Join(b.db.Sync(), b.db.Close()) }

// rows is the one bucket of the file.
func rows(tx *bbolt.Tx) *bbolt.Bucket {
	name, _ := tx.Cursor().First()
	return tx.Bucket(name)
}

type bulkTx struct{ *bbolt.Bucket }

// Get implements [kv.Tx] and [kv.Reader].
func (t bulkTx) Get(key []byte) ([]byte, error) { return bytes.Clone(t.Bucket.Get(key)), nil }

// Scan implements [kv.Reader].
func (t bulkTx) Scan(start, end []byte, limit int) (found []kv.Pair, err error) {
	c := t.Cursor()
	for key, value := c.Seek(start); key != nil && len(found) < limit && (end == nil || bytes.Compare(key, end) < 0); key, value = c.Next() {
		found = append(found, kv.Pair{Key: bytes.Clone(key), Value: append([]byte{}, value...)})
	}
	return found, nil
}

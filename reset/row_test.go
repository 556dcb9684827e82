package reset_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// busy brings a world to where every table has rows: alice has two live links
// and a second token for a code, carol's mail and bob's change wait.
func (w *world) busy() (letter reset.Letter, second string) {
	w.t.Helper()
	w.letter("alice")
	time.Sleep(2 * time.Minute)
	letter = w.letter("alice")
	second = w.code("alice", letter.Code)
	w.app.down()
	w.wantChange(token(w.letter("bob").Link), good, reset.StatusPending)
	w.ask("carol")
	return letter, second
}

// rows returns all that is stored, in order.
func (w *world) rows() (rows []kv.Pair) {
	w.t.Helper()
	err := w.store.View(context.Background(), func(r kv.Reader) (err error) {
		rows, err = r.Scan(nil, nil, 1<<20)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// set puts a row into the store behind the back of the service.
func (w *world) set(key, value []byte) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), func(tx kv.Tx) error { return tx.Put(key, value) }); err != nil {
		w.t.Fatal(err)
	}
}

// damaged answers each Get of a key with an error, as a sealed store does for a
// record that does not open, and counts.
type damaged struct {
	kv.Store
	key   []byte
	reads atomic.Int64
}

func (d *damaged) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return d.Store.Update(ctx, func(tx kv.Tx) error { return fn(damagedTx{tx, d}) })
}

type damagedTx struct {
	kv.Tx
	store *damaged
}

func (t damagedTx) Get(key []byte) ([]byte, error) {
	if bytes.Equal(key, t.store.key) {
		t.store.reads.Add(1)
		return nil, errors.New("record is damaged or was moved")
	}
	return t.Tx.Get(key)
}

// damage stops the world and starts it on a store in which the record of an
// account cannot be read.
func (w *world) damage(account string) *damaged {
	w.t.Helper()
	d := &damaged{Store: w.store}
	for _, row := range w.rows() {
		if row.Key[0] == 'a' && bytes.Contains(row.Value, []byte(`"id":"`+account+`"`)) {
			d.key = row.Key
		}
	}
	if d.key == nil {
		w.t.Fatal("no record of " + account)
	}
	w.stop()
	w.store = d
	w.start()
	return d
}

// A change whose record cannot be read is tried at a slow pace, not as fast as
// the machine can, and ends at its deadline with an alarm.
func TestChangeOfADamagedRecordKeepsNobodyBusy(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.busy()
		d := w.damage("43")
		w.app.say(nil)
		time.Sleep(time.Minute)
		if n := d.reads.Load(); n < 1 || n > 60 {
			t.Errorf("%d reads in a minute", n)
		}
		w.wantChange(token(w.letter("alice").Link), good, reset.StatusChanged)
		time.Sleep(25 * time.Hour)
		if !strings.Contains(w.logText(), "its owner cannot be told") {
			t.Error("no alarm at the deadline")
		}
		before := d.reads.Load()
		time.Sleep(time.Hour)
		if n := d.reads.Load() - before; n > 2 {
			t.Errorf("%d reads in an hour after the deadline", n)
		}
	})
}

// One row that cannot be read keeps no others from being swept.
func TestDamagedRecordKeepsNothingElse(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.letter("alice")
		d := w.damage("42")
		time.Sleep(24 * time.Hour) // for so long a mail is remembered
		for n := range 50 {
			w.ask("nobody" + strconv.Itoa(n))
		}
		time.Sleep(3 * time.Hour)
		for _, row := range w.rows() {
			if row.Key[0] != 'x' && !bytes.Equal(row.Key, d.key) {
				t.Errorf("left: %x %s", row.Key, row.Value)
			}
		}
	})
}

// A row of the queue that is JSON and no job is set aside like one that is not
// JSON: it would be read again and again, and in the way of those behind it.
func TestRowThatIsNoJobIsSetAside(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask("alice")
		for _, row := range w.rows() {
			if row.Key[0] == 'j' {
				w.set(row.Key, []byte(`{"id":5}`))
			}
		}
		time.Sleep(time.Minute)
		if len(w.rows()) > 0 || !strings.Contains(w.logText(), `"alarm":true`) {
			t.Errorf("left: %s", w.dump())
		}
	})
}

// FuzzRow holds that one row that is not what was written, be it by a release
// to come or by a fault of the store's, costs nothing but what it holds: no
// panic, no hold-up of others, no token that works twice.
func FuzzRow(f *testing.F) {
	for n := range 16 {
		f.Add(n, 0, []byte(nil))
		f.Add(n, -1, []byte("null"))
		f.Add(n, -1, []byte(`{"id":5,"kind":[],"grants":{},"live":7,"account":1}`))
		f.Add(n, 40, []byte("9"))
	}
	f.Add(0, -1, []byte(`{"account":{"id":"42"},"grants":[{}],"change":{},"lease":{"attempt":-1},"mints":[9223372036854775807,-1],"tries":-9}`))
	f.Add(9, -1, []byte(`{"id":"AAAAAAAAAAAAAAAAAAAAAA","kind":"mail","site":"app.example.com","deadline":9e15}`))
	f.Add(9, -1, []byte(`{"deadline":1e400}`))
	f.Fuzz(func(t *testing.T, n, at int, patch []byte) {
		if len(patch) > 1000 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, kvtest.Memory())
			w.sole = true
			w.start()
			letter, second := w.busy()
			rows := w.rows()
			row := rows[int(uint(n)%uint(len(rows)))]
			value := slices.Clone(row.Value)
			if at < 0 || len(value) == 0 {
				value = patch
			} else {
				copy(value[at%len(value):], patch)
			}
			w.set(row.Key, value)
			w.app.say(nil)

			ctx := context.Background()
			_, _ = w.site.Look(ctx, token(letter.Link), client)
			_, _ = w.site.Code(ctx, reset.CodeEntry{Login: "alice", Code: letter.Code})
			_, _ = w.site.Request(ctx, reset.Request{Login: "alice"})
			changed := 0
			for n, tok := range []string{token(letter.Link), second, token(letter.Link)} {
				r, err := w.site.Change(ctx, reset.NewPassword{Token: tok, Password: good + strconv.Itoa(n)})
				if err == nil && r.Status == reset.StatusChanged {
					changed++
				} else if err != nil && !errors.Is(err, reset.ErrGrant) && !errors.Is(err, reset.ErrUnavailable) {
					t.Errorf("change: %v", err)
				}
			}
			// A row of the account that is read as another may hold other hashes,
			// but never leads to two changes by one grant.
			if changed > 1 {
				t.Errorf("%d changes by one grant", changed)
			}
			_ = w.site.Cancel(ctx, token(letter.CancelLink), client)

			// Whatever it was, others get theirs.
			w.dir.put("dave", reset.Account{ID: "99", Login: "dave", Email: "dave@example.com"})
			w.wantChange(token(w.letter("dave").Link), good, reset.StatusChanged)
			if log := w.logText(); strings.Contains(log, "panic") {
				t.Errorf("row %x as %q: %s", row.Key, value, log)
			}
			time.Sleep(3 * time.Minute)
			w.stop()
			w.start()
			time.Sleep(time.Minute)
			if strings.Contains(w.logText(), "panic") {
				t.Errorf("row %x as %q after a restart: %s", row.Key, value, w.logText())
			}
		})
	})
}

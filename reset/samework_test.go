package reset_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A recorder notes the size of each row that an update writes.
type recorder struct {
	kv.Store
	mu      sync.Mutex
	updates [][]int
}

// inStore is inWorld on a store that is recorded.
func inStore(t *testing.T, test func(t *testing.T, w *world, rec *recorder)) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		rec := &recorder{Store: kvtest.Memory()}
		w.store = rec
		w.start()
		test(t, w, rec)
	})
}

func (r *recorder) Update(ctx context.Context, fn func(kv.Tx) error) error {
	var tx *recordingTx
	err := r.Store.Update(ctx, func(inner kv.Tx) error {
		tx = &recordingTx{Tx: inner}
		return fn(tx)
	})
	if tx != nil && err == nil {
		slices.Sort(tx.sizes)
		r.mu.Lock()
		r.updates = append(r.updates, tx.sizes)
		r.mu.Unlock()
	}
	return err
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = nil
}

func (r *recorder) sizes() [][]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.updates
}

type recordingTx struct {
	kv.Tx
	sizes []int
}

func (t *recordingTx) Put(key, value []byte) error {
	t.sizes = append(t.sizes, len(key)+len(value))
	return t.Tx.Put(key, value)
}

func (t *recordingTx) Delete(key []byte) error {
	t.sizes = append(t.sizes, -len(key))
	return t.Tx.Delete(key)
}

// Invariant 6: the same rows of the same size are written for a login that
// exists, one that does not, one without an address, and one whose limits are
// used up.
func TestInvariantSameWorkForEveryLogin(t *testing.T) {
	sameWork(t, func(login string) reset.Request { return reset.Request{Login: login} })
}

// sameWork compares what requests for different logins make the store do.
func sameWork(t *testing.T, request func(login string) reset.Request) {
	t.Helper()
	work := func(prepare, login string) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			if prepare != "" {
				w.request(request(prepare))
				time.Sleep(10 * time.Second)
			}
			rec.reset()
			w.request(request(login))
			time.Sleep(10 * time.Second)
			w.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: "12345678"})
			updates = rec.sizes()
		})
		return updates
	}
	hit := work("", "alice")
	if len(hit) != 4 { // request, mint, finish, code
		t.Fatalf("%d updates for a hit: %v", len(hit), hit)
	}
	if miss := work("", "nobod"); !slices.EqualFunc(hit, miss, slices.Equal) {
		t.Errorf("hit  %v\nmiss %v", hit, miss)
	}
	if mailless := work("", "carol"); !slices.EqualFunc(hit, mailless, slices.Equal) {
		t.Errorf("hit        %v\nno address %v", hit, mailless)
	}
	again, limitedMiss := work("alice", "alice"), work("nobod", "nobod")
	if !slices.EqualFunc(again, limitedMiss, slices.Equal) {
		t.Errorf("limited hit  %v\nlimited miss %v", again, limitedMiss)
	}
	if mailless := work("carol", "carol"); !slices.EqualFunc(again, mailless, slices.Equal) {
		t.Errorf("limited hit        %v\nlimited no address %v", again, mailless)
	}
	// The account's own limit, where the typed login has not met its one.
	byAddress, missed := work("alice", "alice@example.com"), work("alice", "nobod@example.com")
	if !slices.EqualFunc(byAddress, missed, slices.Equal) {
		t.Errorf("account limited %v\nmiss            %v", byAddress, missed)
	}
}

// The rows of a login grow with its live codes, and must do so under every name
// that a mint writes, whether it is one or stands in for one.
func TestInvariantSameWorkForEveryMail(t *testing.T) {
	rows := func(login string) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			for range 5 {
				w.ask(login)
				time.Sleep(65 * time.Second)
			}
			updates = rec.sizes()
		})
		return updates
	}
	if hit, miss := rows("alice"), rows("nobod"); !slices.EqualFunc(hit, miss, slices.Equal) {
		t.Errorf("hit  %v\nmiss %v", hit, miss)
	}
}

// Nor may what an account has and nobody else tell by the length of its record: its
// names, and what became of its requests of hours ago.
func TestInvariantSameWorkForOrdinaryAccounts(t *testing.T) {
	accounts := map[string]reset.Account{
		"usual":    {ID: "42", Login: "alice.o.neill", Email: "alice.o.neill@mail.example.com", Name: "Alice O'Neill", Locale: "en-GB"},
		"uuid":     {ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Login: "alice.o.neill@mail.example.com", Email: "alice.o.neill@mail.example.com", Name: "Alice Margaret O'Neill", Locale: "en-GB"},
		"cyrillic": {ID: "42", Login: "alice", Email: "alice@example.com", Name: strings.Repeat("я", 60), Locale: "ru"},
	}
	for name, account := range accounts {
		for _, gap := range []time.Duration{17 * time.Second, 65 * time.Second, 4 * time.Minute, 13 * time.Minute, 150 * time.Minute} {
			t.Run(fmt.Sprint(name, " ", gap), func(t *testing.T) {
				rows := func(found ...reset.Account) (updates [][]int) {
					inStore(t, func(t *testing.T, w *world, rec *recorder) {
						w.dir.put(account.Login, found...)
						for range 12 {
							w.ask(account.Login)
							time.Sleep(10 * time.Second)
							w.site.Code(context.Background(), reset.CodeEntry{Login: account.Login, Code: "12345678"})
							updates = append(updates, rec.sizes()...)
							time.Sleep(gap - 10*time.Second)
							rec.reset() // what was swept
						}
					})
					return updates
				}
				hit, miss := rows(account), rows()
				for n := range min(len(hit), len(miss)) {
					if !slices.Equal(hit[n], miss[n]) {
						t.Fatalf("update %d\nhit  %v\nmiss %v", n, hit[n], miss[n])
					}
				}
				if len(hit) != len(miss) {
					t.Errorf("%d updates for a hit, %d for a miss", len(hit), len(miss))
				}
			})
		}
	}
}

// Rows are padded to steps. Whatever the length of what was typed and of a
// caller's words, nothing that is stored for a hit alone may take a row over
// the next step.
func TestInvariantSameWorkAtEveryLength(t *testing.T) {
	const step = 728
	long := reset.Account{ID: strings.Repeat("<", 128), Login: "alice", Email: "alice@example.com"}
	rows := func(r reset.Request, found ...reset.Account) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			w.dir.put(r.Login, found...)
			w.request(r)
			time.Sleep(10 * time.Second)
			updates = rec.sizes()
		})
		return updates
	}
	for n := 1; n < step/6; n += 2 { // six bytes each in a row
		r := reset.Request{Login: strings.Repeat("<", n)}
		if hit, miss := rows(r, long), rows(r); !slices.EqualFunc(hit, miss, slices.Equal) {
			t.Fatalf("login of %d\nhit  %v\nmiss %v", n, hit, miss)
		}
	}
	for n := 0; n < step*3/4; n += 12 { // sixteen bytes in base64
		r := reset.Request{Login: "x", Words: &reset.Words{Text: strings.Repeat("x", n)}}
		if hit, miss := rows(r, long), rows(r); !slices.EqualFunc(hit, miss, slices.Equal) {
			t.Fatalf("%d bytes of words\nhit  %v\nmiss %v", n, hit, miss)
		}
	}
}

// Who is told apart by nothing else must not be by the rows of a dialect: see
// [TestInvariantSameWorkForEveryLogin].
func TestSameWorkInADialect(t *testing.T) {
	for _, length := range []int{0, 1, 300, reset.MaxWords - 100} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			sameWork(t, func(login string) reset.Request {
				return reset.Request{Login: login, Dialect: "buddy", Words: &reset.Words{Subject: "s", Text: strings.Repeat("x", length)}, LinkTTL: 15 * time.Minute}
			})
		})
	}
}

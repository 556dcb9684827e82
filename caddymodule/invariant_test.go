package caddymodule_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A troubled store does to each call what trouble says.
type troubled struct{ kv.Store }

var trouble struct {
	sync.Mutex
	make func(ctx context.Context) error // nil: none
}

func setTrouble(f func(context.Context) error) {
	trouble.Lock()
	defer trouble.Unlock()
	trouble.make = f
}

func (s troubled) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := s.suffer(ctx); err != nil {
		return err
	}
	return s.Store.View(ctx, fn)
}

func (s troubled) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := s.suffer(ctx); err != nil {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func (troubled) suffer(ctx context.Context) error {
	trouble.Lock()
	f := trouble.make
	trouble.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx)
}

// Invariant 7: the app behind keeps being served whatever happens to us, since
// requests to other routes never touch the store: here it fails, hangs and
// panics, with requests of ours hanging in it.
func TestInvariantTheAppIsServedWhateverHappensToUs(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(func() { setTrouble(nil) })
	config := strings.Replace(w.caddyfile(config{}), "store bbolt "+w.path("reset.db"),
		"store memory\n\t\tkey QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", 1)
	if err := load(config); err != nil {
		t.Fatal(err)
	}
	const ask = `{"login":"alice"}`
	for _, tt := range []struct {
		name  string
		make  func(end <-chan struct{}) func(context.Context) error
		hangs bool
	}{
		{"fails", func(<-chan struct{}) func(context.Context) error {
			return func(context.Context) error { return errors.Join(kv.ErrUnknown, errors.New("no space left on device")) }
		}, false},
		{"panics", func(<-chan struct{}) func(context.Context) error {
			return func(context.Context) error { panic("damaged page") }
		}, false},
		{"hangs", func(end <-chan struct{}) func(context.Context) error {
			return func(context.Context) error {
				<-end
				return errors.Join(kv.ErrUnknown, errors.New("input/output error"))
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			end := make(chan struct{})
			setTrouble(tt.make(end))
			var wg sync.WaitGroup
			for range 8 {
				ours := func() {
					if resp, _ := w.do("POST", "/password-reset", ask); resp.StatusCode < 500 {
						t.Errorf("accepted with status %d", resp.StatusCode)
					}
				}
				if tt.hangs {
					wg.Go(ours)
				} else {
					ours()
				}
			}
			for range 20 {
				w.expect(http.StatusOK, "", "GET", "/", "")
				w.expect(http.StatusOK, "", "GET", "/login", "")
			}
			close(end)
			wg.Wait()
			setTrouble(nil)
			w.expect(http.StatusAccepted, "", "POST", "/password-reset", ask)
		})
	}
}

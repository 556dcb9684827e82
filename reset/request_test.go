package reset_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// What a dialect says of a request is in the letter, whatever happens to the
// job on its way.
func TestDialectWordsAndLifeReachTheLetter(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var tried []reset.Letter
		w.relay.say(func(l reset.Letter) reset.Delivery {
			mu.Lock()
			defer mu.Unlock()
			tried = append(tried, l)
			return reset.Delivery{Status: []reset.DeliveryStatus{reset.NotSent, reset.Unknown}[len(tried)%2]}
		})
		words := foreignWords()
		w.request(reset.Request{Login: "alice", Dialect: "buddy", Words: words, LinkTTL: 7 * time.Minute})
		w.until(time.Hour, "three attempts", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(tried) >= 3
		})
		w.stop()
		w.start()
		w.relay.say(nil)
		w.until(time.Hour, "the letter", func() bool { return w.relay.last(reset.LetterReset).Link != tried[len(tried)-1].Link })
		all := append(tried, w.relay.last(reset.LetterReset))
		for n, l := range all {
			if diff := cmp.Diff(words, l.Words); diff != "" || l.Dialect != "buddy" || l.LinkTTL != 7*time.Minute || l.CodeTTL != 7*time.Minute ||
				!strings.HasPrefix(l.Link, "https://app.example.com/buddy/") {
				t.Errorf("letter %d: %+v\n%s", n, l, diff)
			}
		}
		// And nobody else's letter has them.
		w.ask("bob")
		var l reset.Letter
		w.until(time.Hour, "bob's letter", func() bool {
			all := w.relay.all(reset.LetterReset)
			n := slices.IndexFunc(all, func(l reset.Letter) bool { return l.To.ID == bob.ID })
			if n >= 0 {
				l = all[n]
			}
			return n >= 0
		})
		if l.Dialect != "" || l.Words != nil || l.LinkTTL != reset.DefaultLinkTTL || l.CodeTTL != reset.DefaultCodeTTL ||
			!strings.HasPrefix(l.Link, "https://app.example.com/password-reset/") {
			t.Errorf("a letter of our own: %+v", l)
		}
	})
}

// The process dies while the mail is on its way.
func TestDialectOutlivesACrash(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		crash := make(chan struct{})
		w.relay.say(func(reset.Letter) reset.Delivery {
			<-crash
			return reset.Delivery{Status: reset.NotSent}
		})
		words := foreignWords()
		w.request(reset.Request{Login: "alice", Dialect: "buddy", Words: words, LinkTTL: 7 * time.Minute})
		time.Sleep(5 * time.Second)
		w.crash()
		w.relay.say(nil)
		w.start()
		w.until(time.Hour, "the letter", func() bool { return w.relay.count(reset.LetterReset) > 0 })
		l := w.relay.last(reset.LetterReset)
		if diff := cmp.Diff(words, l.Words); diff != "" || l.Dialect != "buddy" || l.LinkTTL != 7*time.Minute {
			t.Errorf("letter: %+v\n%s", l, diff)
		}
		close(crash)
	})
}

func TestLifeOfALink(t *testing.T) {
	for _, tt := range []struct{ asked, link, code time.Duration }{
		{0, 30 * time.Minute, 10 * time.Minute},
		{time.Minute, time.Minute, time.Minute},
		{10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		{15 * time.Minute, 15 * time.Minute, 10 * time.Minute},
		{24 * time.Hour, 24 * time.Hour, 10 * time.Minute},
		{25 * time.Hour, 24 * time.Hour, 10 * time.Minute},
		{1 << 62, 24 * time.Hour, 10 * time.Minute},
	} {
		t.Run(tt.asked.String(), func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.request(reset.Request{Login: "alice", Dialect: "baasbox", LinkTTL: tt.asked})
				sent := make(chan time.Time, 1) // nothing takes time in this world: so it was minted
				w.relay.say(func(reset.Letter) reset.Delivery {
					sent <- time.Now()
					return reset.Delivery{Status: reset.Sent}
				})
				minted := <-sent
				synctest.Wait()
				l := w.relay.last(reset.LetterReset)
				if l.LinkTTL != tt.link || l.CodeTTL != tt.code {
					t.Fatalf("the letter says %s and %s, want %s and %s", l.LinkTTL, l.CodeTTL, tt.link, tt.code)
				}
				// A code that is right is exchanged for a grant of its own, so the
				// two lives are looked at from their ends.
				time.Sleep(time.Until(minted.Add(tt.code - time.Second)))
				if !w.guess("alice", l.Code) {
					t.Error("the code died early")
				}
				time.Sleep(time.Until(minted.Add(tt.code + time.Second)))
				if w.guess("alice", l.Code) {
					t.Error("the code outlives what the letter says")
				}
				time.Sleep(time.Until(minted.Add(tt.link - time.Second)))
				if _, err := w.site.Look(context.Background(), token(l.Link), client); err != nil && tt.link != tt.code {
					t.Errorf("the link died early: %v", err)
				}
				time.Sleep(time.Until(minted.Add(tt.link + time.Second)))
				if _, err := w.site.Look(context.Background(), token(l.Link), client); !errors.Is(err, reset.ErrGrant) {
					t.Errorf("the link outlives what the letter says: %v", err)
				}
			})
		})
	}
}

// What a request sets off begins some random time after its answer, so that the
// next request does not meet it.
func TestLookupBeginsLater(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		delays := make(map[time.Duration]bool)
		for range 20 {
			before := w.dir.asked()
			w.ask("alice")
			began := time.Now()
			for w.dir.asked() == before && time.Since(began) < 3*time.Second {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			took := time.Since(began)
			if took < 200*time.Millisecond || took > 2100*time.Millisecond {
				t.Errorf("looked up after %s", took)
			}
			delays[took] = true
			time.Sleep(time.Minute)
		}
		if len(delays) < 10 {
			t.Errorf("only %d different delays", len(delays))
		}
	})
}

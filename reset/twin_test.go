package reset_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Invariant 6, whatever strangers do: the same steps cause the same updates of
// the same rows and sizes, in the same order, for a login that has an account,
// one that has none, and one whose account has no address.
func TestTrialSameWorkAfterAnySteps(t *testing.T) {
	tr := trial.New(t, "random requests and guesses for a login that exists and one that does not")
	repeatable(t, tr, tr.Size(15, 200))
	rapid.Check(t, func(rt *rapid.T) {
		chance := rapid.Uint64().Draw(rt, "chance")
		limits := rapid.SampledFrom(twinLimits).Draw(rt, "limits")
		steps := rapid.OneOf(rapid.SliceOfN(rapid.Custom(drawStep), 1, 30), rapid.SliceOfN(rapid.Just(hurry), 14, 30)).Draw(rt, "steps")
		work := map[string][]string{}
		for _, login := range []string{"alice", "nobod", "carol"} {
			cryptotest.SetGlobalRandom(t, chance)
			rapid.SyncTest(rt, func(rt *rapid.T) { work[login] = worked(rt, login, limits, steps) })
		}
		for _, login := range []string{"nobod", "carol"} {
			if slices.Equal(work["alice"], work[login]) {
				continue
			}
			for n := range max(len(work["alice"]), len(work[login])) {
				rt.Logf("update %d for alice %q, for %s %q", n, nth(work["alice"], n), login, nth(work[login], n))
			}
			rt.Fatal("the work tells that an account exists")
		}
		tr.Run()
	})
}

func nth(of []string, n int) string {
	if n < len(of) {
		return of[n]
	}
	return "none"
}

// A step is what a stranger does, and how long they wait then.
type step struct {
	guess, upper bool
	pause        time.Duration
}

// hurry is a request as soon as an account may have one more mail. Many of them
// use up the limits while the rows are large.
var hurry = step{pause: 61 * time.Second}

// twinLimits are those that an account has if nothing is said, and some within
// which its record outgrows what it is padded to.
var twinLimits = [][]reset.Window{reset.DefaultPerAccount(), {{N: 12, Per: time.Hour}}}

func drawStep(rt *rapid.T) step {
	return step{
		guess: rapid.Bool().Draw(rt, "guess"), upper: rapid.Bool().Draw(rt, "upper"),
		pause: pauses(rt, 5*time.Second, 61*time.Second, 10*time.Minute, 31*time.Minute, 2*time.Hour, 25*time.Hour),
	}
}

// worked returns what the steps make the store do, but for what sweeping does:
// it comes at times of its own, long after.
func worked(rt *rapid.T, login string, limits []reset.Window, steps []step) []string {
	w := &works{Store: kvtest.Memory()}
	m := &machine{
		rt: rt, sole: true, limits: limits, store: w, relay: "takes mail", app: "takes", dir: "works",
		model:    &model{people: map[string]*person{}, asked: map[string]string{}},
		accounts: map[string][]reset.Account{"alice": {alice}, "ALICE": {alice}, "carol": {{ID: "44", Login: "carol"}}},
	}
	m.still.Store(true)
	p := m.start(nil)
	rt.Cleanup(func() { p.svc.Stop(context.Background()) })
	for _, s := range steps {
		name := login
		if s.upper {
			name = strings.ToUpper(login)
		}
		if s.guess {
			p.site.Code(context.Background(), reset.CodeEntry{Login: name, Code: "00000000"})
		} else if _, err := p.site.Request(context.Background(), reset.Request{Login: name}); err != nil {
			rt.Fatal(err)
		}
		time.Sleep(s.pause)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// works is a store that notes which tables and sizes each update writes.
type works struct {
	kv.Store
	mu   sync.Mutex
	done []string
}

func (w *works) Update(ctx context.Context, fn func(kv.Tx) error) error {
	tx := &workTx{}
	err := w.Store.Update(ctx, func(inner kv.Tx) error {
		*tx = workTx{Tx: inner}
		return fn(tx)
	})
	if err == nil && !tx.sweeps {
		slices.Sort(tx.rows)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.done = append(w.done, strings.Join(tx.rows, " "))
	}
	return err
}

type workTx struct {
	kv.Tx
	rows   []string
	sweeps bool
}

func (t *workTx) Put(key, value []byte) error {
	t.rows = append(t.rows, fmt.Sprintf("%c+%d", key[0], len(key)+len(value)))
	return t.Tx.Put(key, value)
}

func (t *workTx) Delete(key []byte) error {
	t.rows = append(t.rows, fmt.Sprintf("%c-%d", key[0], len(key)))
	t.sweeps = t.sweeps || key[0] == 'x'
	return t.Tx.Delete(key)
}

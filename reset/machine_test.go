package reset_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Whatever people, attackers, faults and clocks do, in any order, the
// invariants hold as far as they can be seen from outside.
func TestTrialStateMachine(t *testing.T) {
	tr := trial.New(t, "random operations, faults and processes")
	repeatable(t, tr, tr.Size(24, 900))
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		// The same chance in every run of the same steps, or none of them could
		// be repeated or made shorter.
		chance := rapid.Uint64().Draw(rt, "chance")
		cryptotest.SetGlobalRandom(t, chance)
		m := newMachine(rt, chance)
		for m.clocks = m.lives > 1; m.lives > 0; m.lives-- {
			rapid.SyncTest(rt, m.live)
		}
		tr.Run()
		steps += m.steps
	})
	tr.Figures(fmt.Sprintf("%d steps", steps))
}

// repeatable has rapid check a property that often, with the seed of the trial,
// and leave no file behind. -rapid.seed repeats the one check that failed.
func repeatable(t *testing.T, tr *trial.Trial, checks int) {
	set(t, "rapid.checks", strconv.Itoa(checks))
	set(t, "rapid.nofailfile", "true")
	if flag.Lookup("rapid.seed").Value.String() == "0" {
		set(t, "rapid.seed", strconv.FormatUint(max(tr.Seed(), 1), 10))
	}
	// Goroutines that run side by side would take from chance in any order.
	procs := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
}

// set sets a flag for the time of the test.
func set(t *testing.T, name, value string) {
	old := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flag.Set(name, old) })
}

// A machine drives some processes on one store.
type machine struct {
	rt     *rapid.T
	kind   string
	sole   bool
	clocks bool           // there is more than one life
	lives  int            // that are to come, this one included; between them the clock is set
	limits []reset.Window // of each account
	steps  int

	inner    *kvtest.MemStore
	copy     *kvtest.MemStore
	store    kv.Store
	procs    []*process
	services []*reset.Service // all of this life
	busy     *sync.WaitGroup  // people who wait for an answer
	ended    time.Time        // when the life before this one ended

	still atomic.Bool // no time is to pass

	mu       sync.Mutex // of all below
	model    *model
	chance   *rand.Rand
	full     bool // the disk takes nothing
	relay    string
	app      string
	dir      string
	accounts map[string][]reset.Account
	applied  map[string]bool  // ids
	newest   map[string]int64 // sequence by account
	words    int              // passwords and addresses made
}

func newMachine(rt *rapid.T, chance uint64) *machine {
	m := &machine{rt: rt, limits: reset.DefaultPerAccount(), inner: kvtest.Memory(), chance: rand.New(rand.NewPCG(chance, 1))}
	m.kind = rapid.SampledFrom([]string{"calm", "calm, several", "crashes", "crashes, several", "hostile", "hostile, several"}).Draw(rt, "kind")
	m.sole = !strings.HasSuffix(m.kind, "several")
	m.model = &model{
		tried: map[string]*delivery{}, people: map[string]*person{}, asked: map[string]string{},
		taken: map[string]time.Time{}, desk: map[string]bool{}, gone: map[string]bool{},
	}
	m.lives = rapid.SampledFrom([]int{1, 1, 2}).Draw(rt, "lives")
	m.model.calm = strings.HasPrefix(m.kind, "calm")
	if !m.sole {
		m.model.skew = 5 * time.Second
	}
	m.applied, m.newest = map[string]bool{}, map[string]int64{}
	family := []reset.Account{
		{ID: "71", Login: "mum", Email: "family@example.com"},
		{ID: "72", Login: "dad", Email: "family@example.com"},
	}
	m.accounts = map[string][]reset.Account{
		"alice": {alice}, "ALICE": {alice}, "alice@example.com": {alice}, "bob": {bob},
		"family@example.com": family, "mum": family[:1], "dad": family[1:], "carol": {{ID: "44", Login: "carol"}},
	}
	m.heal()
	m.open(m.inner)
	return m
}

// open puts a store in place.
func (m *machine) open(inner *kvtest.MemStore) {
	m.inner, m.store = inner, inner
	if strings.HasPrefix(m.kind, "hostile") {
		m.store = kvtest.Faults{Seed: m.chance.Uint64(), Rerun: 2, Phantom: 64}.Wrap(inner)
	}
}

// heal ends all faults outside.
func (m *machine) heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full, m.relay, m.app, m.dir = false, "takes mail", "takes", "works"
}

// live is the time from one setting of the clock to the next.
func (m *machine) live(rt *rapid.T) {
	m.rt, m.busy, m.procs, m.services = rt, new(sync.WaitGroup), nil, nil
	rt.Cleanup(m.stop)
	if !m.ended.IsZero() {
		m.setClock()
	}
	m.start(nil)
	rt.Repeat(m.actions())
	if m.lives == 1 {
		m.finish()
	}
	m.stop()
	m.check(rt)
	m.ended = time.Now()
}

// setClock sets the clock, as a rule back, by less than a day: for so long at
// least an account is remembered.
func (m *machine) setClock() {
	zero := time.Now()
	earliest := max(m.ended.Sub(zero)-20*time.Hour, 0)
	shown := earliest + pauses(m.rt, time.Second, time.Minute, time.Hour, 25*time.Hour)
	m.rt.Logf("the clock is set from %s to %s", m.ended.Sub(zero), shown)
	time.Sleep(shown)
	if time.Now().Before(m.ended) {
		m.model.setBack()
	}
	m.model.calm = false
}

// start starts a process, which needs a store that takes something.
func (m *machine) start(old *process) *process {
	m.room()
	p := newProcess(m, old)
	m.procs, m.services = append(m.procs, p), append(m.services, p.svc)
	return p
}

// crash ends all processes in the middle of what they do.
func (m *machine) crash() {
	for _, p := range m.procs {
		m.kill(p)
	}
	m.procs = nil
	synctest.Wait()
}

func (m *machine) kill(p *process) {
	if !p.isDead() {
		close(p.dead)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.svc.Stop(ctx)
}

// stop ends a life and leaves no goroutine behind, also after a rule was broken:
// no time passes any more for what would be left.
func (m *machine) stop() {
	m.crash()
	m.busy.Wait()
	for _, svc := range m.services {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		svc.Stop(ctx)
		cancel()
	}
}

func (m *machine) delays() (before, after time.Duration, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.chance.Int64N(int64(40 * time.Millisecond))), time.Duration(m.chance.Int64N(int64(40 * time.Millisecond))), m.full
}

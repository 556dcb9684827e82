package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

const (
	// floodMemory is how much more memory than idle a flood may take, in KiB.
	floodMemory = 100 << 10
	// jobRoom and mintRoom are the bytes of the store's file for a request that
	// waits, and for one that has been dealt with until its link would have
	// expired, with what half-filled pages waste.
	jobRoom, mintRoom = 2 << 10, 6 << 10
	storeRoom         = 16 << 20
	floodConnections  = 16
)

// A flood costs a bounded amount of memory and disk, tells nobody anything,
// keeps nobody else from being served, and is over when it stops. Spans and the
// bound of the queue are small here, so that all of them are met.
func TestTrialFlood(t *testing.T) {
	trial.Beside(t)
	tr := trial.New(t, "floods, bounds met")
	const queue = 200
	f := newFlood(t, tr, queue, "mails 200/1s", func(c *crowd) {
		c.plant(
			edit{"reset/site.go", "maxQueuedJob = 100_000", fmt.Sprintf("maxQueuedJob = %d", queue)},
			edit{"reset/site.go", "DefaultCodeTTL = 10 * time.Minute", "DefaultCodeTTL = time.Second"},
			edit{"reset/story.go", "unknownLife = 2 * time.Hour", "unknownLife = time.Second"},
			edit{"reset/sweeper.go", "sweepInterval = 30 * time.Second", "sweepInterval = 250 * time.Millisecond"},
			edit{"reset/key.go", "when.Truncate(time.Minute).Add(time.Minute)", "when.Truncate(time.Second).Add(time.Second)"},
			edit{
				"reset/job.go", "mailBackoff = []time.Duration{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}",
				"mailBackoff = []time.Duration{time.Second}",
			},
			edit{"web/body.go", "bodyTime = 15 * time.Second", "bodyTime = 2 * time.Second"},
		)
	})
	n := tr.Size(4_000, 100_000)
	f.tokens(n)
	f.resets(n / 4)
	f.begin()
	f.halfOpen(tr.Size(300, 1000))
	f.oversized(tr.Size(40, 400))
	f.recovered() // bystanders have filled the queue
	f.oneAddress(n)
	f.bystanders(func() { f.many(n) })
	f.dead(n)
	f.recovered()

	for range 2 {
		f.many(n)
		f.recovered()
	}
	tr.Figures(f.figures())
	f.swept()
}

// The program as it is: a million requests from one address, a million from a
// million addresses, and a hundred thousand while the relay is down.
func TestMeasureFlood(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "floods of a million")
	f := newFlood(t, tr, 100_000, "mails 1000/1s", func(*crowd) {})
	const n = 1_000_000
	f.tokens(n / 10)
	f.resets(n / 10)
	f.begin()
	f.guesses(n / 10)
	f.halfOpen(1000)
	f.oneAddress(n)
	f.bystanders(func() { f.many(n) })
	f.dead(n / 10)
	f.recovered()
	tr.Figures(f.figures())
}

// A flood is a crowd of two sites that turns on the first.
type flood struct {
	*crowd
	strangers
	trial    *trial.Trial
	gauge    *gauge
	other    string // base URL of the second site
	queue    int    // bound of each
	begun    time.Time
	reserve  atomic.Int32 // accounts in use that no flood asks for
	stream   uint64
	accepted atomic.Int64
	rates    []string
}

const floodAccounts = 600

func newFlood(t *testing.T, tr *trial.Trial, queue int, mails string, prepare func(*crowd)) *flood {
	t.Helper()
	f := &flood{trial: tr, queue: queue, other: "http://" + freeAddress(t), begun: time.Now()}
	plan := crowdPlan{accounts: floodAccounts, global: mails, servers: "protocols h1 h2c", other: f.other}
	if queue < 1000 {
		plan.site = "link_ttl 1s"
	}
	f.crowd = newCrowd(t, tr.Rand(0), plan)
	prepare(f.crowd)
	f.start()
	return f
}

// begin takes what is in use from here on for idle. A mail has been sent by
// then, so that what is made once is there.
func (f *flood) begin() {
	f.t.Helper()
	f.served(f.Site)
	f.served(f.other)
	f.gauge = f.crowd.gauge()
}

// answers are what a flood was answered: how often, by what it says without what
// is new in each answer.
type answers struct {
	mu    sync.Mutex
	known [2]map[string]int // for logins with an account, and without
}

// pour sends n requests from many visitors at once. say returns the request for
// a login.
func (f *flood) pour(what string, n int, say func(login string, r *rand.Rand) []byte) *answers {
	f.t.Helper()
	h := &answers{known: [2]map[string]int{{}, {}}}
	began := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range floodConnections {
		f.stream++
		r := f.trial.Rand(f.stream)
		wg.Go(func() {
			k, err := f.keepalive(f.Site)
			if err != nil {
				f.t.Error(err)
				return
			}
			defer k.close()
			own := [2]map[string]int{{}, {}}
			for left.Add(-1) >= 0 {
				side, login := r.IntN(2), ""
				if side == 0 {
					login = f.Known[r.IntN(len(f.Known)-100)]
				} else {
					login = newLogin(r)
				}
				got, err := k.send(say(login, r))
				if err != nil {
					f.t.Errorf("%s: %v", what, err)
					return
				}
				own[side][got.means()]++
				if got.Status == http.StatusAccepted {
					f.accepted.Add(1)
				}
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			for side := range own {
				for text, times := range own[side] {
					h.known[side][text] += times
				}
			}
		})
	}
	wg.Wait()
	f.trial.Runs(n)
	f.rates = append(f.rates, fmt.Sprintf("%s %d at %.0f/s", what, n, float64(n)/time.Since(began).Seconds()))
	return h
}

// expect holds that nothing but these statuses was answered, all of them, and
// that nothing in them depends on the account.
func (f *flood) expect(what string, h *answers, statuses ...string) {
	f.t.Helper()
	for side := range h.known {
		for text := range h.known[side] {
			if !slices.Contains(statuses, text[:3]) {
				f.trial.Violation("%s: answered %s", what, text)
			}
			if wait := text[:3] == "429" || text[:3] == "503"; wait != strings.HasPrefix(text[4:], "retry") {
				f.trial.Violation("%s: answered %s", what, text)
			}
			if h.known[1-side][text] == 0 && h.known[side][text] > 50 {
				f.trial.Violation("%s: answered %d times to one kind of login only: %s", what, h.known[side][text], text)
			}
		}
		for _, status := range statuses {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(h.known[side])), func(text string) bool { return text[:3] == status }) {
				f.trial.Violation("%s: never answered %s", what, status)
			}
		}
	}
	f.bounded(what)
}

// bounded holds memory and disk to their bounds.
func (f *flood) bounded(what string) {
	f.t.Helper()
	if f.gauge == nil {
		return
	}
	size := f.storeFile().Size()
	if most := int64(storeRoom) + int64(f.queue)*jobRoom + f.accepted.Load()*mintRoom; size > most {
		f.trial.Violation("%s: the store has %d bytes, more than %d", what, size, most)
	}
	anonymous, resident := f.gauge.highest()
	if most := f.gauge.idle.Anonymous + floodMemory; anonymous > most && !raceEnabled {
		f.trial.Violation("%s: %d KiB of memory, idle were %d", what, anonymous, f.gauge.idle.Anonymous)
	}
	// The store is mapped; its pages are the kernel's to take back.
	if most := f.gauge.idle.Resident + floodMemory + int(size>>10); resident > most && !raceEnabled {
		f.trial.Violation("%s: %d KiB resident, idle were %d", what, resident, f.gauge.idle.Resident)
	}
}

// many asks from ever new addresses, more than the queue takes.
func (f *flood) many(n int) {
	f.t.Helper()
	const what = "many addresses"
	h := f.pour(what, n, func(login string, _ *rand.Rand) []byte { return jsonAsk(login).wire(f.Site, f.visitor()...) })
	f.expect(what, h, "202", "503")
}

// oneAddress asks from the same address: beyond its limit everybody is told to
// wait.
func (f *flood) oneAddress(n int) {
	f.t.Helper()
	const what = "one address"
	from := f.visitor()
	h := f.pour(what, n, func(login string, _ *rand.Rand) []byte { return jsonAsk(login).wire(f.Site, from...) })
	f.expect(what, h, "202", "429")
}

// dead asks while the relay takes no mail.
func (f *flood) dead(n int) {
	f.t.Helper()
	f.Relay.down.Store(true)
	defer f.Relay.down.Store(false)
	const what = "relay down"
	h := f.pour(what, n, func(login string, _ *rand.Rand) []byte { return jsonAsk(login).wire(f.Site, f.visitor()...) })
	f.expect(what, h, "202", "503")
}

// tokens opens links that there never were. Nothing may be written for it.
func (f *flood) tokens(n int) {
	f.t.Helper()
	const what = "random tokens"
	before := f.storeFile()
	h := f.pour(what, n, func(_ string, r *rand.Rand) []byte {
		return phrase{"GET", surface + "/link/" + randomToken(r), nil, ""}.wire(f.Site, f.visitor()...)
	})
	f.expect(what, h, "410")
	if after := f.storeFile(); after.ModTime() != before.ModTime() || after.Size() != before.Size() {
		f.trial.Violation("%s: the store was written", what)
	}
}

// guesses enters codes for ever new logins from ever new addresses.
func (f *flood) guesses(n int) {
	f.t.Helper()
	const what = "guesses"
	before := f.storeFile().Size()
	h := f.pour(what, n, func(login string, _ *rand.Rand) []byte { return jsonCode(login).wire(f.Site, f.visitor()...) })
	f.expect(what, h, "422")
	if grown := f.storeFile().Size() - before; grown > storeRoom {
		f.trial.Violation("%s: the store grew by %d bytes", what, grown)
	}
}

func (f *flood) figures() string {
	anonymous, resident := f.gauge.highest()
	text := fmt.Sprintf("memory idle %d MiB, highest %d (resident %d), store %d MiB", f.gauge.idle.Anonymous>>10, anonymous>>10, resident>>10, f.storeFile().Size()>>20)
	for _, r := range f.rates {
		text += ", " + r
	}
	return text
}

package reset_test

import (
	"context"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// pause lets time pass. What stays broken for days would only hide the rest.
func (m *machine) pause(rt *rapid.T) {
	d := pauses(rt, time.Second, 7*time.Second, 30*time.Second, 2*time.Minute, 11*time.Minute, 31*time.Minute, 2*time.Hour, 25*time.Hour)
	if d > time.Hour {
		m.heal()
		m.set(&m.app, mode(rt, apps))
	}
	m.passes(d)
}

// passes lets time pass, but for several processes, which read their queues
// every second, only if it is not long: else they are down meanwhile.
func (m *machine) passes(d time.Duration) {
	if d > 10*time.Minute {
		m.room()
	}
	if m.sole || d < 40*time.Minute {
		time.Sleep(d)
		return
	}
	m.model.calm = false
	m.crash()
	time.Sleep(d)
	m.start(nil)
}

// edge lets time pass until just before or after something ends.
func (m *machine) edge(rt *rapid.T) {
	g := m.mail(rt)
	end := rapid.SampledFrom([]time.Time{g.link.shut, g.code.shut, g.link.open, g.seen.Add(time.Minute), g.seen.Add(time.Hour)}).Draw(rt, "end")
	d := time.Until(end) + pauses(rt, 0, -time.Second, time.Second, -m.model.skew-10*time.Millisecond)
	if d > 0 {
		m.passes(d)
	}
}

// directory changes what the directory says, or whether it says anything.
func (m *machine) directory(rt *rapid.T) {
	what := rapid.SampledFrom([]string{"works", "fails", "hangs", "new address", "gone", "back"}).Draw(rt, "directory")
	m.mu.Lock()
	defer m.mu.Unlock()
	switch what {
	case "new address":
		m.words++
		moved := bob
		moved.Email = fmt.Sprintf("bob%d@example.com", m.words)
		m.accounts["bob"] = []reset.Account{moved}
	case "gone":
		m.accounts["bob"] = nil
	case "back":
		m.accounts["bob"] = []reset.Account{bob}
	default:
		m.dir = what
	}
}

// room ends that the disk takes nothing: all that it shows is that each job is
// tried once a second, which takes the test as long as all else.
func (m *machine) room() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = false
}

func (m *machine) disk(rt *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = !m.full
}

// reload puts a new service in the place of an old one, in the same process.
func (m *machine) reload(rt *rapid.T) {
	old := m.some(rt)
	m.start(old)
	m.procs = slices.DeleteFunc(m.procs, func(p *process) bool { return p == old })
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	old.svc.Stop(ctx)
}

// crashOne ends a process in the middle of what it does, and starts another.
func (m *machine) crashOne(rt *rapid.T) {
	p := m.some(rt)
	m.rt.Logf("%s: crash", at())
	m.kill(p)
	synctest.Wait()
	m.procs = slices.DeleteFunc(m.procs, func(o *process) bool { return o == p })
	time.Sleep(pauses(rt, 0, time.Second, time.Minute))
	m.start(nil)
}

func (m *machine) another(rt *rapid.T) {
	if len(m.procs) == 3 {
		rt.Skip("enough processes")
	}
	m.start(nil)
}

// restore copies the store, or puts an older copy of it back.
func (m *machine) restore(rt *rapid.T) {
	if m.copy == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.copy = m.inner.Copy()
		m.model.copies()
		return
	}
	m.rt.Logf("%s: an older copy of the store is put back", at())
	m.crash()
	m.busy.Wait()
	m.mu.Lock()
	m.open(m.copy.Copy())
	m.copy = nil
	m.model.restores()
	m.mu.Unlock()
	m.start(nil)
}

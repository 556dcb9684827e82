package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A patient is a running program whose store something happens to, and people
// who go on asking.
type patient struct {
	*story
	t    *testing.T
	dir  string // of the store
	file string // the store

	uniform *uniform
	token   string // of a link that works when the store does
	cancel  string
	asks    int // who asks next
	read    int // bytes of the log that were looked at
}

// newPatient starts a program, has a mail sent and keeps what is in it. n is
// how many people there are; each of them asks once.
func newPatient(t *testing.T, n int, prepare ...func(*patient)) *patient {
	t.Helper()
	w := newWorld(t)
	p := &patient{story: newStory(w, people(n), nil), t: t, dir: filepath.Join(w.Home, storeDir), uniform: &uniform{world: w}}
	p.speak(openDialects)
	for _, f := range prepare {
		f(p)
	}
	p.file = filepath.Join(p.dir, "reset.db")
	p.begin()
	p.ask(p.people[0].Login)
	m := p.mail(p.people[0].Email, 1)
	cancel, err := m.CancelLink(p.Site + surface)
	if err != nil {
		t.Fatal(err)
	}
	p.asks, p.token, p.cancel = 1, p.story.token(m), strings.TrimPrefix(cancel, p.Site)
	return p
}

// wakes runs the program although its store may not open.
func (p *patient) wakes() {
	p.t.Helper()
	p.launch()
	p.until("the app is served", func() bool {
		r, err := p.try("GET", demo.LoginPath, "")
		return err == nil && r.Status == http.StatusOK
	})
	p.mu.Lock()
	p.up = make(chan struct{})
	p.mu.Unlock()
	go p.watch(p.exited, p.up)
}

// failsClosed holds what visitors meet while the store cannot be used: what
// needs it is answered 503, for every login alike and never by the app, and
// the rest is served. shut says that the store did not open at all, so that
// even the form would be in vain.
func (p *patient) failsClosed(shut bool) {
	p.t.Helper()
	p.until("the store is missed", func() bool {
		r, err := p.try("POST", surface, `{"login":"somebody"}`)
		return err == nil && r.Status == http.StatusServiceUnavailable
	})
	p.uniform.compareAll(p.t, http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	for _, v := range vendors {
		r := p.say(v.openStart(known))
		if v.name == "buddy" { // whose clients know no 503
			r.Status, r.Header = r.Status+3, http.Header{"Retry-After": {"-"}}
		}
		p.unavailable(v.name, r)
	}
	for _, r := range []struct{ method, target, body string }{
		{"POST", surface + "/new", `{"token":"` + p.token + `","password":"` + newPassword + `"}`},
		{"POST", surface + "/new", "token=" + p.token + "&password=" + newPassword + "&password_repeat=" + newPassword},
		{"POST", p.cancel, "{}"},
	} {
		p.unavailable(r.method+" "+r.target, p.do(r.method, r.target, r.body))
	}
	pages := []string{surface + "/done", surface + "/pending", demo.LoginPath}
	taken := http.StatusFound
	if shut {
		taken = http.StatusServiceUnavailable
	} else {
		pages = append(pages, surface, surface+"/policy", surface+"/sent")
	}
	for _, target := range pages {
		if r := p.do("GET", target, ""); r.Status != http.StatusOK {
			p.t.Errorf("GET %s is answered %d", target, r.Status)
		}
	}
	if r := p.do("GET", "/forgot-password", ""); r.Status != taken {
		p.t.Errorf("a path that is taken over is answered %d", r.Status)
	}
}

func (p *patient) unavailable(what string, r reply) {
	p.t.Helper()
	if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		p.t.Errorf("%s is answered %d, Retry-After %q: %s", what, r.Status, r.Header.Get("Retry-After"), r.Body)
	}
}

// recovers waits until the store is used again, without a restart, and holds
// that what it held is there.
func (p *patient) recovers() {
	p.t.Helper()
	p.until("requests are accepted again", func() bool { return p.asksOnce() })
	p.opens(p.token)
}

// asksOnce has the next of the people ask, if the store takes it.
func (p *patient) asksOnce() bool {
	p.t.Helper()
	if p.asks == len(p.people) {
		p.t.Fatal("everybody has asked")
	}
	if !p.requests(p.people[p.asks]) {
		return false
	}
	p.asks++
	return true
}

// alarms returns what operators were told since they were last asked for:
// lines of the log with the attribute that alarms are found by.
func (p *patient) alarms() (alarms []string) {
	log := p.log.String()
	lines := strings.Split(log[p.read:], "\n")
	p.read = len(log)
	for _, line := range lines {
		var entry struct {
			Level, Msg, Error string
			Alarm             bool
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Alarm {
			alarms = append(alarms, entry.Msg+": "+entry.Error)
		}
	}
	return alarms
}

// told holds that one alarm says all the words, and that there is no flood:
// what is asked of a store that is ill fails in many ways, and for one cause.
// Two more may tell of what the store went through on its way there and back.
func (p *patient) told(words ...string) {
	p.t.Helper()
	alarms := p.alarms()
	said := 0
	for _, a := range alarms {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(a, w) }) {
			said++
		}
	}
	if said != 1 || len(alarms) > 3 {
		p.t.Errorf("%d alarms say %q, of these:\n%s", said, words, strings.Join(alarms, "\n"))
	}
}

// content returns what is in the folder of the store.
func (p *patient) content() map[string][]byte {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if e.Type().IsRegular() {
			if files[e.Name()], err = os.ReadFile(filepath.Join(p.dir, e.Name())); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	return files
}

// putBack makes the folder of the store what it was.
func (p *patient) putBack(files map[string][]byte) {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(p.dir, e.Name())); err != nil {
			p.t.Fatal(err)
		}
	}
	// The store comes last: it opens as soon as it is there.
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "reset.db" {
			p.put(name, files[name])
		}
	}
	p.put("reset.db.new", files["reset.db"])
	if err := os.Rename(p.file+".new", p.file); err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) put(name string, content []byte) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// unchanged holds that the program has kept a bad store byte for byte.
func (p *patient) unchanged(bad map[string][]byte) {
	p.t.Helper()
	now := p.content()
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		if !bytes.Equal(now[name], bad[name]) {
			p.t.Errorf("%s was changed", name)
		}
		delete(now, name)
	}
	for name := range now {
		p.t.Errorf("%s was made", name)
	}
}

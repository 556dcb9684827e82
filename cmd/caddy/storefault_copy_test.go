package main

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// What is done to the open file cannot be undone in it: the program stays up
// and fails closed, and after a restart on a good copy it goes on. Reading a
// page that is no longer in the file would be a SIGBUS.
func TestTrialStoreChangedWhileOpen(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "store truncated or overwritten while open")
	p := newPatient(t, 5)
	p.end()
	older := p.content()
	p.begin()
	for _, f := range []struct {
		name string
		do   func()
		says [][]string // one of them, as whoever meets it first finds it
	}{
		{"truncated", func() { p.cutTo(2 * os.Getpagesize()) }, [][]string{{"reset.db", "was truncated", "restore it from a backup and restart"}}},
		{"an older copy over it", func() {
			// As long as the store is: a shorter one is told by its length.
			longer := len(p.content()["reset.db"]) - len(older["reset.db"])
			p.put("reset.db", append(older["reset.db"], make([]byte, max(0, longer))...))
		}, [][]string{{"reset.db", "another copy", "restart"}, {"reset.db", "is damaged and was taken out of use", "restart"}}},
	} {
		p.t.Logf("now: %s", f.name)
		if !p.asksOnce() {
			t.Fatal("not accepted")
		}
		for _, owner := range p.people[:p.asks] {
			p.mail(owner.Email, 1) // what the copy still owes would be mailed twice
		}
		p.end() // a copy of an open file may be of two states
		good := p.content()
		p.begin()
		p.alarms()
		f.do()
		p.failsClosed(false)
		var said []string
		p.until("the cause is found", func() bool {
			i := slices.IndexFunc(f.says, func(words []string) bool { return strings.Contains(p.log.String()[p.read:], words[1]) })
			if i >= 0 {
				said = f.says[i]
			}
			return i >= 0
		})
		p.told(said...)
		bad := p.content()
		p.end()
		if !bytes.Equal(p.content()["reset.db"], bad["reset.db"]) {
			tr.Violation("%s: the file was written to", f.name)
		}
		p.putBack(good)
		p.begin()
		p.recovers()
		tr.Run()
	}
	if err := p.holds(); err != nil {
		tr.Violation("%v", err)
	}
}

// A backup that is put back while the program is down brings links back that
// were used. The generation beside the store tells, unless it was put back too,
// as with a whole machine.
func TestTrialOlderStore(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "older copy of the store put back")
	p := newPatient(t, 8)
	p.end()
	older := p.content()
	p.begin()
	if a := p.gives(p.people[0], p.token, newPassword); a != changed {
		t.Fatalf("the change was answered %q", a)
	}
	p.end()
	newer := p.content()
	for _, f := range []struct {
		name       string
		generation []byte
		noticed    bool
	}{
		{"with the generation of the newer", newer["reset.db.generation"], true},
		{"without a generation", nil, false},
		{"with its own generation", older["reset.db.generation"], false},
	} {
		p.t.Logf("now: %s", f.name)
		files := map[string][]byte{"reset.db": older["reset.db"], "reset.key": older["reset.key"]}
		if f.generation != nil {
			files["reset.db.generation"] = f.generation
		}
		p.putBack(files)
		p.alarms()
		p.begin()
		status := p.do("GET", surface+"/link/"+p.token, "").Status
		if f.noticed {
			p.told("an older copy of the store was put back", "links and codes in it are void")
			if status != http.StatusGone {
				tr.Violation("a link of an older copy is answered %d", status)
			}
		} else if alarms := p.alarms(); len(alarms) > 0 {
			tr.Violation("%s: %v", f.name, alarms)
		}
		if !p.asksOnce() {
			tr.Violation("%s: a request is not accepted", f.name)
		}
		p.mail(p.people[p.asks-1].Email, 1)
		p.end()
		tr.Run()
	}
	p.checkStore()
}

// A second program on the same store is told so, serves its app, and takes over
// when the first one ends, which does not notice it.
func TestTrialSecondProcess(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "second process on the store")
	p := newPatient(t, 4)
	second := &patient{story: newStory(newWorld(t), people(2), nil), t: t, dir: p.dir, file: p.file, token: p.token, cancel: p.cancel}
	second.speak(openDialects)
	second.uniform = &uniform{world: second.world}
	second.Env["XDG_DATA_HOME"] = p.Home
	second.Env["RESET_BASE_URL"], second.Env["RESET_SITE"] = second.Site, second.Site
	second.wakes()
	second.failsClosed(true)
	second.told("reset.db", "in use by another process", "stop that one, or give each its own file")
	for range 2 {
		if !p.asksOnce() {
			tr.Violation("the first one does not take requests")
		}
	}
	p.mail(p.people[2].Email, 1)
	for _, err := range p.settles() {
		tr.Violation("%v", err)
	}
	p.stop()
	second.until("the second one takes over", second.asksOnce)
	if err := second.holds(); err != nil {
		tr.Violation("%v", err)
	}
	tr.Run()
}

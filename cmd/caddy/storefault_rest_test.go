package main

import (
	"bytes"
	native "encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// A store that was damaged while the program was down fails closed and is left
// as it is, the operator is told what to do, and once it is mended the program
// goes on by itself.
func TestTrialStoreDamagedAtRest(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "store damaged at rest")
	p := newPatient(t, len(restFaults)+1)
	for _, f := range restFaults {
		p.end()
		good := p.content()
		f.do(p)
		bad := p.content()
		p.alarms()
		p.t.Logf("now: %s", f.name)
		p.wakes()
		p.failsClosed(true)
		p.told(f.says...)
		p.unchanged(bad)
		p.putBack(good)
		p.recovers()
		tr.Run()
	}
	if err := p.holds(); err != nil {
		tr.Violation("%v", err)
	}
}

const remedy = "restore the file from a backup, or move it away"

type restFault struct {
	name string
	do   func(*patient)
	says []string
}

var restFaults = []restFault{
	{"empty", func(p *patient) { p.cutTo(0) }, []string{"reset.db", "is empty", "restore it from a backup, or move it away"}},
	{"half", func(p *patient) { p.cutTo(len(p.content()["reset.db"]) / 2) }, []string{"reset.db", "damaged", remedy}},
	{"two pages", func(p *patient) { p.cutTo(2 * os.Getpagesize()) }, []string{"reset.db", "damaged", remedy}},
	{"four pages", func(p *patient) { p.cutTo(4 * os.Getpagesize()) }, []string{"reset.db", "damaged", remedy}},
	{"another format", func(p *patient) { p.put("reset.db", bytes.Repeat([]byte("no store"), 4096)) }, []string{"reset.db", "damaged", remedy}},
	{"directory", func(p *patient) { p.replace(func() error { return os.Mkdir(p.file, 0o700) }) }, []string{"reset.db", "not a file"}},
	{"FIFO", func(p *patient) { p.replace(func() error { return syscall.Mkfifo(p.file, 0o600) }) }, []string{"reset.db", "not a file"}},
	{"dangling symlink", func(p *patient) { p.replace(func() error { return os.Symlink("nowhere", p.file) }) }, []string{"reset.db", "symbolic link"}},
	{"key missing", func(p *patient) { os.Remove(filepath.Join(p.dir, "reset.key")) }, []string{"reset.key", "missing", "put it back"}},
	{"another key", func(p *patient) { p.put("reset.key", []byte(secret()+"\n")) }, []string{"reset.key", "does not fit", "last opened with"}},
	{"key cut off", func(p *patient) { p.put("reset.key", []byte("AAAA")) }, []string{"reset.key", "32"}},
	{"key of everybody", func(p *patient) { os.Chmod(filepath.Join(p.dir, "reset.key"), 0o644) }, []string{"reset.key", "chmod 600"}},
	{"generation lost its number", func(p *patient) { p.put("reset.db.generation", nil) }, []string{"reset.db.generation", "delete this file"}},
	{"both meta pages", func(p *patient) { p.flip(0, 80); p.flip(os.Getpagesize(), 80) }, []string{"reset.db", "damaged", remedy}},
}

func (p *patient) cutTo(size int) {
	p.t.Helper()
	if err := os.Truncate(p.file, int64(size)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) replace(make func() error) {
	p.t.Helper()
	if err := os.Remove(p.file); err != nil {
		p.t.Fatal(err)
	}
	if err := make(); err != nil {
		p.t.Fatal(err)
	}
}

// flip turns n bytes over.
func (p *patient) flip(at, n int) {
	p.t.Helper()
	content := p.content()["reset.db"]
	for i := range n {
		content[at+i] ^= 0xff
	}
	p.put("reset.db", content)
}

// Whatever bits of a store turn over, in a page of any kind, nothing panics,
// nobody is told apart, and the app is neither asked nor kept from answering.
func TestTrialStoreBits(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "bits of the store turn over")
	chance := tr.Rand(1)
	p := newPatient(t, 12)
	for p.asksOnce() && p.asks < len(p.people) {
	}
	for _, owner := range p.people {
		p.mail(owner.Email, 1)
	}
	p.end()
	good := p.content()
	opened, shut, unavailable := 0, 0, 0
	for range tr.Size(12, 200) {
		p.putBack(good)
		kind, at, n := p.turnOver(chance)
		p.wakes()
		var status [2]int
		for i, login := range []string{known, unknown} {
			for range 2 { // the second may meet what the first one read
				r := p.do("POST", surface, `{"login":"`+login+`"}`)
				status[i] = r.Status
				if r.Status != http.StatusAccepted && r.Status != http.StatusServiceUnavailable {
					tr.Violation("%d bits from %d on, a %s page: a request is answered %d", n, at, kind, r.Status)
				}
			}
		}
		if status[0] != status[1] {
			tr.Violation("%d bits from %d on, a %s page: logins are told apart", n, at, kind)
		}
		if status[0] == http.StatusAccepted {
			opened++
		} else {
			shut++
		}
		for _, r := range []reply{
			p.do("GET", surface+"/link/"+p.token, ""),
			p.do("POST", surface+"/new", `{"token":"`+p.token+`","password":"short"}`),
			p.do("POST", surface+"/code", `{"login":"`+known+`","code":"00000000"}`),
			p.do("POST", p.cancel, "{}"),
		} {
			switch r.Status {
			case http.StatusServiceUnavailable:
				unavailable++
			case http.StatusOK, http.StatusGone, http.StatusUnprocessableEntity:
			default:
				tr.Violation("%d bits from %d on, a %s page: answered %d: %s", n, at, kind, r.Status, r.Body)
			}
		}
		p.crash()
		tr.Run()
	}
	tr.Figures(fmt.Sprintf("%d opened, %d failed closed; %d other answers of 503", opened, shut, unavailable))
}

// turnOver turns some bits over: in a page of a kind that is drawn first, so
// that the rare ones are met too, or anywhere.
func (p *patient) turnOver(chance *rand.Rand) (kind string, at, n int) {
	p.t.Helper()
	content := p.content()["reset.db"]
	size := os.Getpagesize()
	pages := make(map[string][]int)
	for start := 0; start+size <= len(content); start += size {
		kind := "free"
		switch native.NativeEndian.Uint16(content[start+8:]) {
		case 1:
			kind = "branch"
		case 2:
			kind = "leaf"
		case 4:
			kind = "meta"
		case 16:
			kind = "freelist"
		}
		pages[kind] = append(pages[kind], start)
	}
	kinds := slices.Sorted(maps.Keys(pages))
	kind = kinds[chance.IntN(len(kinds))]
	at = pages[kind][chance.IntN(len(pages[kind]))]
	if chance.IntN(2) == 0 {
		at += chance.IntN(96) // the header of a page and its first elements
	} else {
		at += chance.IntN(size - 16)
	}
	n = 1 + chance.IntN(64)
	for range n {
		bit := chance.IntN(16 * 8)
		content[at+bit/8] ^= 1 << (bit % 8)
	}
	p.put("reset.db", content)
	return kind, at, n
}

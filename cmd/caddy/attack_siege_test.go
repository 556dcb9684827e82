package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const (
	// evil is the mailbox of the attacker, who has no account.
	evil = "evil@evil.test"

	// maxResident bounds the memory of the program, the race detector's
	// included, in KiB.
	maxResident = 1 << 20
)

// A siege is the running program under attack, and a watch on all that could
// come to harm: what it answers, what its app and its relay are told, what it
// writes.
type siege struct {
	*world
	strangers
	tr      *trial.Trial
	backend *backend
	relay   *eavesdropper

	mark      string // in what attackers send; stands in no log
	secrets   []string
	typed     sync.Map // the logins that mails were asked for with
	inPaths   bool     // logins stand in paths that are written in many ways
	unsettled bool     // some requests wait for a directory that is mended
}

// besiege starts the program for a trial. Its site takes any Host, speaks all
// dialects to everybody, and HTTP/2 in clear; one account may cause any number
// of mails. Prepare, if any, is called before the program starts.
func besiege(t *testing.T, attack string, accounts []demo.Account, prepare ...func(*siege)) *siege {
	t.Helper()
	s := &siege{world: newWorld(t), tr: trial.New(t, "attack: "+attack)}
	s.mark = fmt.Sprintf("mk%016x", s.tr.Rand(1<<32).Uint64())
	accounts = append(accounts, demo.Account{ID: "9999", Login: "keeper", Email: "keeper@example.com", Name: "Person"})
	s.employ(accounts, nil)
	s.backend = newBackend(s.App, accounts)
	s.Env["RESET_APP"] = serve(t, s.backend)
	s.tapRelay()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.Site, "http://"))
	s.Env["RESET_SITE"] = "http://:" + port
	s.speak(openDialects)
	s.mailsWithoutLimit()
	s.amend(
		"\t\t\tauth {$RESET_SMTP_USER:reset@example.com} {env.RESET_SMTP_PASSWORD}\n", "",
		"\tpassword_reset {\n\t\tsmtp", "\tpassword_reset {\n\t\tmails off\n\t\tsmtp",
		"\tservers {\n", "\tservers {\n\t\tprotocols h1 h2c\n",
		"\trespond /hooks/*", "\tbind 127.0.0.1\n\trespond /hooks/*",
	)
	for _, p := range prepare {
		p(s)
	}
	s.start()
	return s
}

// tapRelay gives the program a relay that takes mail for everybody, in clear
// and without a login, and listens in.
func (s *siege) tapRelay() {
	s.t.Helper()
	inbox, err := demo.NewInbox(demo.InboxOptions{Domains: []string{"example.com", "evil.test"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { inbox.Close() })
	s.Inbox = inbox
	s.relay = eavesdrop(s.t, inbox.Addr())
	s.Env["RESET_SMTP"] = s.relay.address
}

// each calls attack n times, from as many goroutines as keep the program busy,
// each time with chance of its own. Attack must not end the test.
func (s *siege) each(n int, attack func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, 16) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || s.t.Context().Err() != nil {
					return
				}
				attack(i)
			}
		})
	}
	all.Wait()
}

// hit sends a request and judges the answer as such. It is not ok if none came.
func (s *siege) hit(request string) (reply, bool) {
	s.tr.Run()
	method, _, _ := strings.Cut(request, " ")
	r, err := s.send(method, request)
	if err != nil {
		s.tr.Violation("%.300q: %v", request, err)
		return r, false
	}
	s.judge(fmt.Sprintf("%.300q", request), r)
	return r, true
}

// headers are on every answer of ours.
var headers = map[string]string{
	"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin", "X-Frame-Options": "DENY",
	"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "X-Robots-Tag": "noindex, nofollow",
}

// judge holds what goes for every answer, whatever was asked.
func (s *siege) judge(what string, r reply) {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	defer func() {
		if wrong != nil {
			s.tr.Violation("%s is answered %d: %s", what, r.Status, strings.Join(wrong, "; "))
		}
	}()
	if r.Status < 200 || r.Status == 500 || r.Status > 503 || r.Status == 502 {
		bad("status %d", r.Status)
	}
	if to := r.Header.Get("Location"); to != "" && !slices.Contains([]string{surface, surface + "/sent", surface + "/done", surface + "/pending", "/"}, to) {
		bad("leads to %q", to)
	}
	for _, secret := range []string{s.Secret, expanded, looted} {
		if bytes.Contains(r.Raw, []byte(secret)) {
			bad("holds a secret: %q", r.Raw)
		}
	}
	if r.Header.Get("Server") != "Caddy" || r.Header.Get(backendHeader) != "" {
		return // of net/http, which had no request, or of the app
	}
	if (r.Status == http.StatusBadRequest || r.Status == http.StatusMethodNotAllowed) && r.Body == "" && r.Header.Get("Content-Type") == "" {
		return // of Caddy, for a request without a host or with a long method
	}
	for name, want := range headers {
		if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
			bad("%s is %q", name, got)
		}
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		policy := r.Header.Values("Content-Security-Policy")
		if len(policy) != 1 || !strings.Contains(policy[0], want) || strings.Contains(policy[0], "unsafe") {
			bad("policy %q", policy)
		}
	}
	media := r.Header.Get("Content-Type")
	if (media == "") != (r.Status == http.StatusNoContent || r.Status == http.StatusOK && r.Body == "" && r.Header.Get("Allow") != "") {
		bad("media type %q", media)
	}
	if strings.HasPrefix(media, "text/") && !strings.HasSuffix(media, "; charset=utf-8") {
		bad("media type %q", media)
	}
	if strings.HasPrefix(media, "text/html") && strings.Contains(r.Body, "<"+s.mark) {
		bad("what was sent is markup in the page")
	}
	if r.Header.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(r.Header.Get("Access-Control-Allow-Origin"), "evil") {
		bad("another site may read it: %q", r.Header)
	}
	for _, set := range r.Header.Values("Set-Cookie") {
		if !ourCookie.MatchString(set) {
			bad("cookie %q", set)
		}
	}
}

// ourCookie is the one cookie, over http on loopback.
var ourCookie = regexp.MustCompile(`^password-reset=([A-Za-z0-9_-]+; Path=/; Max-Age=900|; Path=/; Max-Age=0); HttpOnly; SameSite=Lax$`)

// pair sends what build makes for somebody with an account and for nobody. The
// answers are the same, of which the first is returned.
func (s *siege) pair(build func(login string) string) (reply, bool) {
	var first reply
	var seen [2]string
	for i, login := range []string{known, unknown} {
		request := build(login)
		r, ok := s.hit(request)
		if !ok {
			return r, false
		}
		if seen[i] = masks(masked(r, login)); i == 0 {
			first = r
		} else if seen[0] != seen[1] {
			s.tr.Violation("%.300q tells accounts apart:\n%s", request, cmp.Diff(seen[0], seen[1]))
		}
	}
	return first, true
}

// lift ends the attack: it waits until all that was asked for has come to an
// end, and looks at what came of it.
func (s *siege) lift() {
	s.t.Helper()
	if !s.unsettled {
		s.settle()
	}
	s.checkWorks()
	if !s.inPaths {
		s.checkLookups()
	}
	s.relay.check(s)
	for _, request := range s.backend.forged() {
		s.tr.Violation("a forged hook reached the app: %s", request)
	}
	s.checkWritten()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err == nil {
		var most int
		if found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); found != nil {
			most, _ = strconv.Atoi(string(found[1]))
		}
		s.tr.Figures(fmt.Sprintf("at most %d MiB", most>>10))
		if most > maxResident {
			s.tr.Violation("the program has used %d KiB", most)
		}
	}
	for _, bad := range []string{`"level":"panic"`, "panic while answering", "panic serving"} {
		if strings.Contains(s.log.String(), bad) {
			s.tr.Violation("%q in the log", bad)
		}
	}
}

var (
	askedFor = regexp.MustCompile(`"reset asked for".*"reference":"([0-9A-Z-]{9})"`)
	dealt    = regexp.MustCompile(`"(?:reset ended without a mail|mail handed to the relay)".*"reference":"([0-9A-Z-]{9})"`)
)

// settle waits until every request for a mail has been dealt with.
func (s *siege) settle() {
	s.t.Helper()
	s.untilNone("requests for a mail that wait", s.open)
}

// open returns how many requests for a mail wait.
func (s *siege) open() int {
	log := s.log.String()
	open := make(map[string]bool)
	for _, reference := range askedFor.FindAllStringSubmatch(log, -1) {
		open[reference[1]] = true
	}
	for _, reference := range dealt.FindAllStringSubmatch(log, -1) {
		delete(open, reference[1])
	}
	return len(open)
}

// checkWorks tells that a person can still have a mail with a link that opens.
func (s *siege) checkWorks() {
	s.t.Helper()
	r := s.do("POST", surface, `{"login":"keeper"}`, s.visitor()...)
	if r.Status != http.StatusAccepted {
		s.t.Fatalf("after the attack asking is answered %d: %s", r.Status, r.Body)
	}
	m := s.mail("keeper@example.com", 1)
	if r := s.do("GET", surface+"/link/"+s.token(m), "", s.visitor()...); r.Status != http.StatusOK {
		s.tr.Violation("after the attack the link in a mail is answered %d", r.Status)
	}
}

// checkWritten searches the log and all files for what stands in mails and for
// what attackers have sent.
func (s *siege) checkWritten() {
	s.t.Helper()
	hidden := append([]string{s.mark, evil, expanded, looted}, s.secrets...)
	for _, m := range s.Inbox.Mails() {
		for _, token := range mailedToken.FindAllStringSubmatch(m.Text, -1) {
			hidden = append(hidden, token[1])
		}
	}
	search := func(where string, content []byte) {
		for _, secret := range hidden {
			if i := bytes.Index(content, []byte(secret)); i >= 0 {
				s.tr.Violation("%s holds %q: %.300q", where, secret, content[max(0, i-100):])
			}
		}
	}
	search("log", []byte(s.log.String()))
	for _, name := range []string{"caddy/password_reset/reset.db", "caddy/password_reset/reset.db.generation"} {
		content, err := os.ReadFile(filepath.Join(s.Home, name))
		if err != nil {
			s.t.Error(err)
		}
		search(name, content)
	}
}

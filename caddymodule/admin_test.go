package caddymodule_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Every route, and what it says to whoever gets it wrong.
func TestAdminAPI(t *testing.T) {
	w := newAdminWorld(t, "")
	w.loadAdmin(config{})
	w.inbox.SetDown(true)
	w.ask("alice")
	job := w.firstJob("451")
	long := `{"login":"` + strings.Repeat("a", 70_000) + `"}`
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string // in the answer
		allow              string
	}{
		{"GET", "status", "", 200, `"sites": [` + "\n    \"app.example.com\"", ""},
		{"GET", "status", "", 200, `"open": true`, ""},
		{"GET", "jobs", "", 200, `"kind": "mail"`, ""},
		{"GET", "jobs?site=app.example.com", "", 200, job, ""},
		{"GET", "jobs?site=shop", "", 404, `there is no site \"shop\"; there are: app.example.com`, ""},
		{"GET", "jobs/" + job, "", 200, `"cause": "smtp: MAIL: answer 451 4.3.0"`, ""},
		{"GET", "jobs/none", "", 404, "no job with this id waits", ""},
		{"POST", "jobs/none/retry", "", 404, "no job with this id waits", ""},
		{"DELETE", "jobs/none", "", 404, "no job with this id waits", ""},
		{"POST", "trace", `{"login":"alice"}`, 200, `"step": "asked"`, ""},
		{"POST", "trace", `{"login":"carol"}`, 200, `"requests": []`, ""},
		{"POST", "trace", `{"login":"alice","site":"shop"}`, 404, "there is no site", ""},
		{"POST", "send", `{"login":"bob","site":"app.example.com"}`, 202, `"reference": "`, ""},
		{"POST", "revoke", `{"login":"bob"}`, 200, `"mails": 1`, ""},

		{"POST", "status", "", 405, "use GET", "GET"},
		{"PUT", "jobs", "", 405, "use GET", "GET"},
		{"POST", "jobs/" + job, "", 405, "use GET or DELETE", "GET, DELETE"},
		{"GET", "jobs/" + job + "/retry", "", 405, "use POST", "POST"},
		{"GET", "trace", "", 405, "use POST", "POST"},
		{"GET", "send", "", 405, "use POST", "POST"},
		{"DELETE", "revoke", "", 405, "use POST", "POST"},
		{"GET", "check", "", 405, "use POST", "POST"},
		{"POST", "export", "", 405, "use GET", "GET"},
		{"GET", "restore", "", 405, "use POST", "POST"},
		{"GET", "", "", 404, "no such route", ""},
		{"GET", "jobs/", "", 404, "no such route", ""},
		{"POST", "trace/alice", "", 404, "no such route", ""},

		{"POST", "trace", "", 400, `write {\"site\": \"…\", \"login\": \"…\"}`, ""},
		{"POST", "trace", `{"login":`, 400, "not JSON", ""},
		{"POST", "trace", `["alice"]`, 400, "not a JSON object", ""},
		{"POST", "trace", `{"login":"alice","login":"bob"}`, 400, "twice", ""},
		{"POST", "trace", `{"login":42}`, 400, "unknown or no string", ""},
		{"POST", "revoke", `{"login":"alice","Site":"shop"}`, 400, "unknown or no string", ""},
		{"POST", "trace", `{}`, 400, "that is no login", ""},
		{"POST", "send", `{"login":"a\nb"}`, 400, "that is no login", ""},
		{"POST", "check", `{"sites":"app.example.com"}`, 400, "unknown or no string", ""},
		{"POST", "check", `{"site":"shop"}`, 404, "there is no site", ""},
		{"POST", "restore", "no store", 400, "this is no copy of a store", ""},
		{"POST", "trace", long, 413, "longer than 65536 bytes", ""},
	} {
		resp, answer, err := w.tryAdmin(tt.method, "/password_reset/"+tt.path, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.status || !strings.Contains(answer, tt.want) {
			t.Errorf("%s %s %.60s: got %d %s; want %d with %q", tt.method, tt.path, tt.body, resp.StatusCode, answer, tt.status, tt.want)
		}
		if got := resp.Header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got, tt.allow)
		}
		if resp.StatusCode == 200 && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be cached", tt.method, tt.path)
		}
	}
	w.steer("POST", "jobs/"+job+"/retry")
	w.steer("DELETE", "jobs/"+job)
	w.admin(http.StatusNotFound, "GET", "jobs/"+job, "")
}

// With two sites a body says which one is meant.
func TestAdminAPIOfSeveralSites(t *testing.T) {
	w := newAdminWorld(t, "")
	second := strings.NewReplacer("app.example.com", "shop.example.org").Replace(siteOf(w.caddyfile(config{})))
	w.loadAdmin(config{more: second})
	for _, path := range []string{"trace", "send", "revoke"} {
		answer := w.admin(http.StatusBadRequest, "POST", path, `{"login":"alice"}`)
		if !strings.Contains(answer, "say which one: app.example.com, shop.example.org") {
			t.Errorf("%s: %s", path, answer)
		}
	}
	w.admin(http.StatusAccepted, "POST", "send", `{"login":"alice","site":"shop.example.org"}`)
	w.mail("alice@example.com", 1)
	if answer := w.admin(http.StatusOK, "POST", "trace", `{"login":"alice","site":"app.example.com"}`); !strings.Contains(answer, `"requests": []`) {
		t.Errorf("a request of one site stands in the trace of another: %s", answer)
	}
}

// siteOf is the one site of a world's Caddyfile.
func siteOf(caddyfile string) string {
	return caddyfile[strings.Index(caddyfile, "\nhttp://"):]
}

// Whoever can read the log of Caddy, or ask its admin endpoint, learns of nobody
// who has asked, and gets nothing that opens anything: through a whole journey, with
// every logger at DEBUG.
func TestAdminAPITellsNothing(t *testing.T) {
	w := newAdminWorld(t, "")
	w.loadAdmin(config{})
	w.inbox.SetDown(true)
	w.ask("alice")
	look := func() {
		w.admin(http.StatusOK, "GET", "status", "")
		w.admin(http.StatusOK, "GET", "jobs", "")
		w.admin(http.StatusOK, "POST", "trace", `{"login":"alice"}`)
		w.admin(http.StatusOK, "POST", "trace", `{"login":"alice@example.com"}`)
	}
	job := w.firstJob("451")
	look()
	w.admin(http.StatusOK, "GET", "jobs/"+job, "")
	w.inbox.SetDown(false)
	w.steer("POST", "jobs/"+job+"/retry")
	m := w.mail("alice@example.com", 1)
	link, err := m.Link("https://app.example.com/password-reset")
	if err != nil {
		t.Fatal(err)
	}
	code, err := m.Code()
	if err != nil {
		t.Fatal(err)
	}
	token := link[strings.LastIndexByte(link, '/')+1:]
	look()
	const password = "a calm sea at night"
	w.app.SetDown(true)
	w.expect(http.StatusAccepted, "pending", "POST", "/password-reset/new", `{"token":"`+token+`","password":"`+password+`"}`)
	change := w.firstJob("503")
	look()
	w.admin(http.StatusOK, "GET", "jobs/"+change, "")
	w.steer("DELETE", "jobs/"+change)
	w.app.SetDown(false)
	w.mail("alice@example.com", 2)
	w.admin(http.StatusAccepted, "POST", "send", `{"login":"alice@example.com"}`)
	m = w.mail("alice@example.com", 3)
	w.admin(http.StatusOK, "POST", "revoke", `{"login":"alice"}`)
	look()
	for _, bad := range []string{`{"login":"alice"`, `{"alice":"alice"}`, `{"login":["alice"]}`, `{"login":"alice\u0000"}`, `{"login":"alice","login":"alice"}`} {
		w.admin(http.StatusBadRequest, "POST", "trace", bad)
	}
	w.admin(http.StatusNotFound, "POST", "trace", `{"login":"alice","site":"shop"}`)

	second, err := m.Link("https://app.example.com/password-reset")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the answers": w.said.String(), "the log": w.log()} {
		for _, canary := range []string{"alice", token, second[strings.LastIndexByte(second, '/')+1:], code, password, secret} {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(canary)); at >= 0 {
				t.Errorf("%q stands in %s: …%s…", canary, what, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
	if len(w.logged("received request")) < 20 {
		t.Error("the log does not hold the requests of the admin endpoint")
	}
}

// What the endpoint answers is about the configuration that runs at that moment.
func TestAdminAPIAcrossReloads(t *testing.T) {
	w := newAdminWorld(t, "")
	w.inbox.SetDown(true)
	w.loadAdmin(config{})
	w.ask("alice")
	job := w.firstJob("451")
	w.loadAdmin(config{options: "name Example"})
	w.admin(http.StatusOK, "GET", "jobs/"+job, "")

	if err := load("{\n\tadmin " + w.address + "\n\tpersist_config off\n}\n"); err != nil {
		t.Fatal(err)
	}
	if answer := w.admin(http.StatusNotFound, "GET", "status", ""); !strings.Contains(answer, "no `password_reset`") {
		t.Errorf("without password_reset the status is %s", answer)
	}
	w.loadAdmin(config{})
	w.inbox.SetDown(false)
	w.steer("POST", "jobs/"+job+"/retry")
	w.mail("alice@example.com", 1)
}

// Requests that meet a reload are answered as at any other time, or not at all: each
// load gives the endpoint a new server, and closes connections of the old one.
func TestAdminAPIDuringReloads(t *testing.T) {
	w := newAdminWorld(t, "")
	w.loadAdmin(config{})
	over := make(chan struct{})
	var answered [4]atomic.Int64
	var operators sync.WaitGroup
	for n, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "status", "", 200},
		{"GET", "jobs", "", 200},
		{"POST", "trace", `{"login":"alice"}`, 200},
		{"POST", "send", `{"login":"nobody"}`, 202},
	} {
		operators.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				resp, answer, err := w.tryAdmin(tt.method, "/password_reset/"+tt.path, tt.body)
				if err != nil {
					continue
				}
				answered[n].Add(1)
				if resp.StatusCode != tt.status {
					t.Errorf("%s %s: %d %s", tt.method, tt.path, resp.StatusCode, answer)
					return
				}
			}
		})
	}
	busy := func() bool { // one of them has not seen much yet
		for n := range answered {
			if answered[n].Load() < 10 {
				return !t.Failed()
			}
		}
		return false
	}
	for n := 0; n < 10 || busy(); n++ {
		w.loadAdmin(config{options: fmt.Sprintf("name Example%d", n)})
	}
	close(over)
	operators.Wait()
}

// The endpoint is Caddy's, and so are its guards: a page in the operator's browser
// can reach a port of this machine by a name of its own (DNS rebinding) or across
// origins, and gets nothing done.
func TestAdminAPIRefusesOtherOrigins(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	w := newAdminWorld(t, address)
	w.loadAdmin(config{})
	for name, header := range map[string][]string{
		"another host":   {"Host", "evil.example"},
		"another origin": {"Origin", "https://evil.example"},
		"no origin":      {"Origin", "null"},
		"without CORS":   {"Sec-Fetch-Mode", "no-cors"},
		"by a form":      {"Origin", "https://evil.example", "Content-Type", "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, answer, err := w.tryAdmin("POST", "/password_reset/send", `{"login":"alice"}`, header...)
			if err != nil || resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%v: %v, %s", resp, err, answer)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another origin may read the answer")
			}
		})
	}
	if answer := w.admin(http.StatusOK, "GET", "jobs", ""); !strings.Contains(answer, `"jobs": []`) {
		t.Errorf("a mail waits: %s", answer)
	}
	if len(w.logged("reset asked for")) != 0 {
		t.Error("a page of another origin had a mail sent")
	}
}

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// Submissions of one token at once, each with another password, on connections
// of their own and as streams of one (HTTP/2): exactly one change reaches the
// app, and it is one whose sender was told so.
func TestTrialSubmissionsAtOnce(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "many submissions of one token at once")
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	for name, transport := range map[string]*http.Transport{"HTTP/1.1": {}, "HTTP/2.0": {Protocols: h2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			submitAtOnce(t, tr, name, &http.Client{Transport: transport})
			transport.CloseIdleConnections()
		})
	}
}

func submitAtOnce(t *testing.T, tr *trial.Trial, protocol string, client *http.Client) {
	w := newWorld(t)
	w.amend("\tservers {\n", "\tservers {\n\t\tprotocols h1 h2c\n")
	w.start()
	v := newVisitor(t, w.Site)
	v.ask("alice")
	token := v.open(w.mail("alice@example.com", 1))

	var wg sync.WaitGroup
	start := make(chan struct{})
	answers := make([]int, tr.Size(50, 90)) // an address may send a hundred an hour
	tr.Runs(len(answers))
	for n := range answers {
		wg.Go(func() {
			<-start
			body := fmt.Sprintf(`{"token":%q,"password":"correct horse battery %d"}`, token, n)
			r, err := client.Post(w.Site+surface+"/new", "application/json", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
			if r.Proto != protocol {
				t.Errorf("answered in %s", r.Proto)
			}
			answers[n] = r.StatusCode
		})
	}
	close(start)
	wg.Wait()

	told := map[int]int{}
	for _, a := range answers {
		told[a]++
	}
	ids := map[string]bool{}
	for _, d := range w.App.Deliveries() {
		if d.Type == "password.changed" {
			ids[d.ID] = true
		}
	}
	if len(ids) != 1 {
		tr.Violation("%d changes reached the app by one token; answers %v", len(ids), told)
	}
	if told[http.StatusOK] == 0 {
		tr.Violation("nobody was told that the password is changed: %v", told)
	}
	for status := range told {
		// 410 for those who came when the change was complete, 429 for those
		// beyond what one address may try in an hour.
		switch status {
		case http.StatusOK, http.StatusAccepted, http.StatusGone, http.StatusTooManyRequests:
		default:
			tr.Violation("%d times status %d", told[status], status)
		}
	}
}

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Fifty submissions of one token at once, each with another password: exactly
// one change reaches the app, and it is one whose sender was told so.
func TestFiftySubmissionsOfOneTokenAreOneChange(t *testing.T) {
	w := newWorld(t)
	w.start()
	v := newVisitor(t, w.Site)
	v.ask("alice")
	token := v.open(w.mail("alice@example.com", 1))

	var wg sync.WaitGroup
	start := make(chan struct{})
	answers := make([]int, 50)
	for n := range answers {
		wg.Go(func() {
			<-start
			body := fmt.Sprintf(`{"token":%q,"password":"correct horse battery %d"}`, token, n)
			r, err := http.Post(w.Site+surface+"/new", "application/json", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
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
		t.Errorf("%d changes reached the app by one token; answers %v", len(ids), told)
	}
	if told[http.StatusOK] == 0 {
		t.Errorf("nobody was told that the password is changed: %v", told)
	}
	for status := range told {
		// 410 for those who came when the change was complete, 429 for those
		// beyond what one address may try in an hour.
		switch status {
		case http.StatusOK, http.StatusAccepted, http.StatusGone, http.StatusTooManyRequests:
		default:
			t.Errorf("%d times status %d", told[status], status)
		}
	}
}

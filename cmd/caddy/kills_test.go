package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const (
	crowdOfKills  = 25                     // people in a world
	pause         = 500 * time.Millisecond // between two requests of one of them: 50 requests/s in all
	killsPerWorld = 6
	longestLife   = 1500 * time.Millisecond // of a program, from its first answer to its end
)

// Kill -9 at random moments, while people ask for mails and change their
// passwords 50 times a second.
func TestTrialKills(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "kill -9 at random moments under load")
	program := faultyCaddy(t)
	var requests atomic.Int64
	var mu sync.Mutex
	var restarts []time.Duration
	beside(t, 4, tr.Size(1, 50), func(t testing.TB, number int) {
		var app flakyApp
		s := newStory(newWorld(t), people(crowdOfKills), app.wrap)
		s.Binary = program
		for kill := range killsPerWorld {
			began := time.Now()
			if !s.begin() {
				t.Fatalf("the program does not start:\n%s", s.log)
			}
			up := time.Since(began)
			stream := uint64(number*killsPerWorld+kill) * (crowdOfKills + 1)
			moment := time.Duration(tr.Rand(stream).Int64N(int64(longestLife)))
			requests.Add(s.bustle(func(person int) *rand.Rand { return tr.Rand(stream + 1 + uint64(person)) }, moment, s.crash))
			tr.Run()
			mu.Lock()
			restarts = append(restarts, up)
			mu.Unlock()
		}
		app.well.Store(true)
		if !s.begin() {
			t.Fatalf("the program does not start:\n%s", s.log)
		}
		if err := s.holds(); err != nil {
			t.Error(err)
		}
	}, func(_ int, why string) { tr.Violation("%s", why) })
	slices.Sort(restarts)
	tr.Figures(fmt.Sprintf("%d requests; a start takes %v, at most %v", requests.Load(),
		restarts[len(restarts)/2].Round(time.Millisecond), restarts[len(restarts)-1].Round(time.Millisecond)))
}

// After kill -9 the program serves again within two seconds.
func TestMeasureRestart(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "a restart after kill -9")
	s := newStory(newWorld(t), people(crowdOfKills), new(flakyApp).wrap)
	s.Binary = binary(t)
	var restarts []time.Duration
	for kill := range uint64(20) {
		began := time.Now()
		if !s.begin() {
			t.Fatalf("the program does not start:\n%s", s.log)
		}
		restarts = append(restarts, time.Since(began))
		s.bustle(func(person int) *rand.Rand { return tr.Rand(kill*crowdOfKills + uint64(person)) }, time.Second, s.crash)
		tr.Run()
	}
	slowest := slices.Max(restarts)
	tr.Figures(fmt.Sprintf("at most %v of 2s", slowest.Round(time.Millisecond)))
	if slowest > 2*time.Second {
		tr.Violation("a restart took %v", slowest)
	}
}

// bustle has everybody go about their business for a while, and on while act
// lasts. It returns how many requests they have made.
func (s *story) bustle(chance func(person int) *rand.Rand, while time.Duration, act func()) int64 {
	var requests atomic.Int64
	over := make(chan struct{})
	var all sync.WaitGroup
	for n, p := range s.people {
		all.Go(func() {
			for r := chance(n); ; {
				select {
				case <-over:
					return
				case <-time.After(pause/2 + time.Duration(r.Int64N(int64(pause)))):
				}
				s.whim(r, p)
				requests.Add(1)
			}
		})
	}
	func() {
		defer all.Wait()
		defer close(over) // also if act ends the test
		time.Sleep(while) // the moment of the fault, which is to be any
		act()
	}()
	return requests.Load()
}

// whim is one request of somebody: what comes next on their way, or a mail
// once more, a look at the link or a cancellation.
func (s *story) whim(r *rand.Rand, p demo.Account) {
	m, ok := s.answered(p)
	if !ok && r.IntN(4) > 0 {
		return // on its way: who asks each time has twenty links, and gets no more
	}
	if !ok || s.used(s.token(m)) {
		s.requests(p)
		return
	}
	switch r.IntN(10) {
	case 0:
		s.requests(p)
	case 1:
		_, _ = s.try("GET", surface+"/link/"+s.token(m), "") // may meet the crash
	case 2:
		s.cancels(m)
	case 3:
		if code, err := m.Code(); err == nil {
			if token, _ := s.enters(p, code); token != "" {
				s.gives(p, token, freshPassword())
			}
		}
	default:
		s.gives(p, s.token(m), freshPassword())
	}
}

// A flakyApp does not take every seventh change at once, until it is well.
type flakyApp struct {
	changes atomic.Int64
	well    atomic.Bool
}

func (f *flakyApp) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == demo.ChangedPath && f.changes.Add(1)%7 == 0 && !f.well.Load() {
			http.Error(w, "The app is away.", http.StatusServiceUnavailable)
			return
		}
		app.ServeHTTP(w, r)
	})
}

package reset_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// trace returns the steps of the latest requests for a login, a line for each
// request, the newest first.
func (w *world) trace(login string) (lines []string) {
	w.t.Helper()
	all, err := w.site.Trace(context.Background(), login)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range all {
		var steps []string
		for n, e := range t.Steps {
			if e.Reference != t.Reference || e.Site != "app.example.com" || n > 0 && e.At.Before(t.Steps[n-1].At) {
				w.t.Errorf("a step of %s is %+v", t.Reference, e)
			}
			steps = append(steps, string(e.Step))
		}
		line := strings.Join(steps, " ")
		for _, j := range t.Waiting {
			line += " (" + j.Kind + " " + j.Cause + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) wantTrace(login string, want ...string) {
	w.t.Helper()
	if got := w.trace(login); !slices.Equal(got, want) {
		w.t.Errorf("trace of %s:\n%s\nwant\n%s", login, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTraceTellsWhatBecameOfARequest(t *testing.T) {
	steps := map[string]struct {
		do   func(w *world)
		want []string
	}{
		"asked a moment ago": {func(w *world) { w.ask("alice") }, []string{"asked (mail )"}},
		"mailed":             {func(w *world) { w.letter("alice") }, []string{"asked mailed"}},
		"unknown":            {func(w *world) { w.ask("nobody"); time.Sleep(5 * time.Second) }, []string{"asked unknown"}},
		"no address":         {func(w *world) { w.ask("carol"); time.Sleep(5 * time.Second) }, []string{"asked unknown"}},
		"limited": {func(w *world) {
			w.letter("alice")
			w.ask("alice")
			time.Sleep(5 * time.Second)
		}, []string{"asked limited", "asked mailed"}},
		"account limited": {func(w *world) {
			w.letter("alice@example.com")
			w.ask("alice")
			time.Sleep(5 * time.Second)
		}, []string{"asked limited", "asked mailed"}},
		"rejected": {func(w *world) {
			w.relay.say(func(reset.Letter) reset.Delivery {
				return reset.Delivery{Status: reset.Rejected, Err: errors.New("answer 550 5.1.1")}
			})
			w.ask("alice")
			time.Sleep(5 * time.Second)
		}, []string{"asked rejected"}},
		"relay away": {func(w *world) {
			w.relay.say(func(reset.Letter) reset.Delivery {
				return reset.Delivery{Status: reset.Unreachable, Err: errors.New("connection refused")}
			})
			w.ask("alice")
			time.Sleep(5 * time.Second)
		}, []string{"asked (mail connection refused)"}},
		"relay away for an hour": {func(w *world) {
			w.relay.say(func(reset.Letter) reset.Delivery {
				return reset.Delivery{Status: reset.Unreachable, Err: errors.New("connection refused")}
			})
			w.ask("alice")
			time.Sleep(time.Hour)
		}, []string{"asked expired"}},
		"directory away": {func(w *world) {
			w.dir.fail(errors.New("answer 502"))
			w.ask("alice")
			time.Sleep(5 * time.Second)
		}, []string{"asked (mail answer 502)"}},
		"directory away for an hour": {func(w *world) {
			w.dir.fail(errors.New("answer 502"))
			w.ask("alice")
			time.Sleep(time.Hour)
		}, []string{"asked expired"}},
		"opened":         {func(w *world) { w.look(w.letter("alice").Link) }, []string{"asked mailed opened"}},
		"opened by code": {func(w *world) { w.code("alice", w.letter("alice").Code) }, []string{"asked mailed opened"}},
		"changed": {func(w *world) {
			l := w.letter("alice")
			w.look(l.Link)
			time.Sleep(time.Second)
			w.look(l.Link)
			w.wantChange(token(l.Link), good, reset.StatusChanged)
			time.Sleep(5 * time.Second)
		}, []string{"asked mailed opened accepted changed"}},
		"refused, then changed": {func(w *world) {
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
			w.wantChange(token(l.Link), good, reset.StatusRefused)
			w.app.say(nil)
			w.wantChange(token(l.Link), good+"!", reset.StatusChanged)
			time.Sleep(time.Minute)
		}, []string{"asked mailed accepted refused accepted changed"}},
		"pending": {func(w *world) {
			l := w.letter("alice")
			w.app.down()
			w.wantChange(token(l.Link), good, reset.StatusPending)
			time.Sleep(20 * time.Second)
		}, []string{"asked mailed accepted pending (change 503)"}},
		"pending, then changed": {func(w *world) {
			l := w.letter("alice")
			w.app.down()
			w.wantChange(token(l.Link), good, reset.StatusPending)
			time.Sleep(10 * time.Minute)
			w.app.say(nil)
			time.Sleep(20 * time.Minute)
		}, []string{"asked mailed accepted pending changed"}},
		"gone": {func(w *world) {
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Gone} })
			w.wantChange(token(l.Link), good, reset.StatusGone)
			time.Sleep(time.Minute)
		}, []string{"asked mailed accepted gone"}},
		"superseded": {func(w *world) {
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Superseded} })
			w.wantChange(token(l.Link), good, reset.StatusSuperseded)
			time.Sleep(time.Minute)
		}, []string{"asked mailed accepted superseded"}},
		"replaced": {func(w *world) {
			first := w.letter("alice")
			time.Sleep(2 * time.Minute)
			second := w.letter("alice")
			w.app.down()
			w.wantChange(token(first.Link), good, reset.StatusPending)
			time.Sleep(10 * time.Second)
			w.wantChange(token(second.Link), good+"!", reset.StatusPending)
			time.Sleep(time.Second)
			w.app.say(nil)
			time.Sleep(time.Hour)
		}, []string{"asked mailed accepted pending changed", "asked mailed accepted pending replaced"}},
		"cancelled": {func(w *world) { w.cancel(w.letter("alice").CancelLink) }, []string{"asked mailed cancelled"}},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				step.do(w)
				login := "alice"
				if l := w.lastLogin(); l != "" {
					login = l
				}
				w.wantTrace(login, step.want...)
			})
		})
	}
}

// lastLogin is the login that was asked for last, if it is not alice.
func (w *world) lastLogin() string {
	for _, l := range []string{"nobody", "carol"} {
		if len(w.trace(l)) > 0 {
			return l
		}
	}
	return ""
}

func (w *world) look(link string) {
	w.t.Helper()
	if _, err := w.site.Look(context.Background(), token(link), netip.Addr{}); err != nil {
		w.t.Fatal(err)
	}
}

// "Where is my mail?" is asked with any of the names of an account, hours later,
// and after a restart.
func TestTraceByAnyNameForADay(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.put("+49 30 901820", alice)
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.Sent, Answer: `250 2.0.0 Ok: queued as 4A7F21 <"x">`}
		})
		w.letter("+49 30 901820")
		w.stop()
		w.start()
		time.Sleep(20 * time.Hour)
		for _, login := range []string{"+49 30 901820", "alice", "ALICE@example.com"} {
			all, err := w.site.Trace(context.Background(), login)
			if err != nil || len(all) != 1 {
				t.Fatalf("trace of %s: %v, %v", login, all, err)
			}
			if e := all[0].Steps[1]; e.Step != reset.StepMailed || e.Detail != "250 2.0.0 Ok: queued as 4A7F21   x" {
				t.Errorf("trace of %s: %+v", login, e)
			}
			if !all[0].OpenUntil.IsZero() {
				t.Errorf("a link of yesterday is open until %s", all[0].OpenUntil)
			}
		}
		w.wantTrace("bob")
		time.Sleep(5 * time.Hour)
		w.wantTrace("alice")
		if rows := w.rows(); len(rows) != 0 {
			t.Errorf("%d rows are left: %s", len(rows), w.dump())
		}
	})
}

// Whoever asks for somebody else again and again must not push out what became of
// that person's own requests.
func TestTraceUnderAFlood(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.look(l.Link)
		for range 30 {
			w.ask("alice")
			w.ask("alice@example.com")
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		lines := w.trace("alice")
		if len(lines) > 10 || lines[len(lines)-1] != "asked mailed opened" {
			t.Errorf("after a flood the trace is\n%s", strings.Join(lines, "\n"))
		}
	})
}

// Requests that the account's limits end push out three others at the most.
func TestTraceOfAnAccountUnderAFlood(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		const names = 40
		for n := range names {
			w.dir.put(fmt.Sprintf("name %d", n), alice)
		}
		for range 8 {
			w.letter("alice")
			time.Sleep(2 * time.Hour)
		}
		for n := range names {
			w.ask(fmt.Sprintf("name %d", n))
			time.Sleep(5 * time.Second)
		}
		told := map[string]int{}
		for _, line := range w.trace("alice") {
			told[line]++
		}
		if told["asked mailed"] < 5 || told["asked limited"] != 3 {
			t.Errorf("of eight mails the trace tells as %v", told)
		}
	})
}

func TestTraceTellsUntilWhenALinkIsOpen(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.letter("alice")
		all, err := w.site.Trace(context.Background(), "alice")
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if left := time.Until(all[0].OpenUntil); left < 29*time.Minute || left > 30*time.Minute {
			t.Errorf("open for %s", left)
		}
	})
}

func TestTraceOfAFamily(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask("family@example.com")
		time.Sleep(10 * time.Second)
		w.wantTrace("family@example.com", "asked mailed mailed")
		w.wantTrace("mum", "asked mailed")
		if _, err := w.site.Trace(context.Background(), "\x00"); !errors.Is(err, reset.ErrLogin) {
			t.Errorf("trace of what is no login: %v", err)
		}
	})
}

// What is known of requests goes in the end, all of it: also where several share a
// login, and a place in the expiry index.
func TestNothingOfATraceStaysForEver(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.put("nickname", alice)
		w.dir.put("pet name", alice)
		for range 3 {
			for _, login := range []string{"family@example.com", "mum", "dad", "alice", "alice@example.com", "nobody"} {
				w.ask(login)
			}
			time.Sleep(5 * time.Second)
			w.guess("nobody", "00000000")
			for _, login := range []string{"nickname", "alice", "pet name"} {
				if _, err := w.site.Send(context.Background(), login); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * time.Minute)
		}
		time.Sleep(40 * 24 * time.Hour)
		if rows := w.rows(); len(rows) != 0 {
			t.Errorf("%d rows are left: %s", len(rows), w.dump())
		}
	})
}

// Two rows of one mint that go at different times, and then at the same, keep
// their place in the expiry index: mum's record, which waits for her change to end,
// and the row of the address that dad has asked for since.
func TestRowsThatMeetAgainBothGo(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		family := w.dir.accounts["family@example.com"]
		w.dir.put("mum", family[0])
		w.dir.put("dad", family[1])
		l := w.letter("mum")
		time.Sleep(10 * time.Minute)
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		time.Sleep(time.Hour - 2*time.Second)
		w.letter("dad")
		w.app.say(nil)
		time.Sleep(40 * 24 * time.Hour)
		if rows := w.rows(); len(rows) != 0 {
			t.Errorf("%d rows are left: %s", len(rows), w.dump())
		}
	})
}

// A mail that the help desk had sent is told from one that a visitor asked for,
// before it was looked up, afterwards, and where there is no account. It takes no
// room of what became of other requests.
func TestTraceTellsWhoHasAsked(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		want := func(login string, details ...string) {
			t.Helper()
			all, err := w.site.Trace(context.Background(), login)
			if err != nil || len(all) != len(details) {
				t.Fatalf("%d requests for %s, %v", len(all), login, err)
			}
			for n, detail := range details {
				if e := all[n].Steps[0]; e.Step != reset.StepAsked || e.Detail != detail {
					t.Errorf("request %d for %s begins with %+v, want %q", n, login, e, detail)
				}
			}
		}
		const desk = "by the operator"
		for _, login := range []string{"alice", "nobody"} {
			w.ask(login)
			time.Sleep(10 * time.Second)
			details := []string{""}
			for len(details) < 8 {
				if _, err := w.site.Send(context.Background(), login); err != nil {
					t.Fatal(err)
				}
				details = append([]string{desk}, details...)
				want(login, details...)
				time.Sleep(10 * time.Second)
				want(login, details...)
			}
		}
		w.dir.fail(errors.New("answer 502"))
		if _, err := w.site.Send(context.Background(), "bob"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		want("bob", desk)
	})
}

package reset_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestWhatBecomesOfAMail(t *testing.T) {
	tests := []struct {
		name     string
		status   reset.DeliveryStatus
		retried  bool
		oldLives bool // does a link of a failed attempt work
		alarm    bool
	}{
		{"refused for good", reset.Rejected, false, false, false},
		{"surely not sent", reset.NotSent, true, false, false},
		{"perhaps sent", reset.Unknown, true, true, false},
		{"wrong setting", reset.Misconfigured, true, false, true},
		{"taken for spam", reset.Unwanted, true, false, true},
		{"no relay", reset.Unreachable, true, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				var mu sync.Mutex
				var tried []reset.Letter
				w.relay.say(func(l reset.Letter) reset.Delivery {
					mu.Lock()
					defer mu.Unlock()
					tried = append(tried, l)
					return reset.Delivery{Status: tt.status, Err: errors.New("code 999")}
				})
				w.ask("alice")
				time.Sleep(5 * time.Minute)
				w.relay.say(nil)
				time.Sleep(20 * time.Minute)
				if got := w.relay.count(reset.LetterReset) > 0; got != tt.retried && tt.status != reset.Unknown {
					t.Errorf("arrived later: %v, want %v", got, tt.retried)
				}
				mu.Lock()
				defer mu.Unlock()
				_, err := w.site.Look(t.Context(), token(tried[len(tried)-1].Link), client)
				if lives := err == nil; lives != tt.oldLives {
					t.Errorf("the link of a failed attempt: %v", err)
				}
				if alarm := strings.Contains(w.logText(), `"alarm":true`); alarm != tt.alarm {
					t.Errorf("alarm %v", alarm)
				}
				ids := map[string]bool{}
				for _, l := range append(tried, w.relay.all(reset.LetterReset)...) {
					ids[l.MessageID] = true
				}
				if len(ids) != 1 {
					t.Errorf("%d message ids for one job", len(ids))
				}
			})
		})
	}
}

func TestMailIsGivenUpAfterAnHour(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		var last atomic.Int64
		start := time.Now()
		w.relay.say(func(reset.Letter) reset.Delivery {
			last.Store(int64(time.Since(start)))
			return reset.Delivery{Status: reset.NotSent}
		})
		w.ask("alice")
		time.Sleep(5 * time.Hour)
		if d := time.Duration(last.Load()); d > time.Hour || d < 40*time.Minute {
			t.Errorf("last attempt after %s", d)
		}
	})
}

func TestRetriesCountOnceAgainstTheLimits(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
		w.ask("alice")
		time.Sleep(20 * time.Minute) // five attempts
		w.relay.say(nil)
		w.until(15*time.Minute, "the mail of that request", func() bool { return w.relay.count(reset.LetterReset) == 1 })
		for range 4 { // the rest of five an hour
			w.letter("alice")
			time.Sleep(61 * time.Second)
		}
	})
}

func TestDirectoryFaultsAreRetried(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.fail(errors.New("timeout"))
		w.ask("alice")
		time.Sleep(10 * time.Minute)
		if w.relay.count(reset.LetterReset) != 0 {
			t.Fatal("mail without a lookup")
		}
		w.dir.fail(nil)
		w.until(15*time.Minute, "the mail", func() bool { return w.relay.count(reset.LetterReset) == 1 })
	})
}

func TestDirectoryIsNotTrusted(t *testing.T) {
	for name, a := range map[string]reset.Account{
		"quoted local part": {ID: "1", Login: "eve", Email: `"evil@evil.test> NOTIFY=NEVER "@example.com`},
		"line break":        {ID: "1", Login: "eve", Email: "eve@example.com\r\nBcc: x@y.example"},
		"no domain":         {ID: "1", Login: "eve", Email: "root"},
		"no id":             {Login: "eve", Email: "eve@example.com"},
		"no login":          {ID: "1", Email: "eve@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.dir.accounts["eve"] = []reset.Account{a}
				w.ask("eve")
				time.Sleep(time.Hour)
				if w.relay.count(reset.LetterReset) != 0 {
					t.Error("mail to an account that is none")
				}
				if !strings.Contains(w.logText(), `"alarm":true`) {
					t.Error("no alarm")
				}
			})
		})
	}
}

// Who takes another's address for a login must not keep them from a mail.
func TestAccountThatIsNoneHoldsUpNoOther(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.put("alice@example.com", reset.Account{ID: "66", Login: "alice@example.com", Email: "x@localhost"}, alice)
		if l := w.letter("alice@example.com"); l.To != alice {
			t.Errorf("a letter to %+v", l.To)
		}
	})
}

// That somebody has no address is no fault, and none of the mails to others
// waits for it.
func TestAccountWithoutAnAddress(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.accounts["shared"] = []reset.Account{{ID: "1", Login: "shared"}, alice, {ID: "2", Login: "shared"}, bob}
		w.ask("carol")
		w.ask("shared")
		time.Sleep(2 * time.Hour)
		var to []string
		for _, l := range w.relay.all(reset.LetterReset) {
			to = append(to, l.To.ID)
		}
		slices.Sort(to)
		if !slices.Equal(to, []string{alice.ID, bob.ID}) {
			t.Errorf("mails to %q", to)
		}
		if log := w.logText(); strings.Contains(log, `"alarm":true`) || strings.Contains(log, `"level":"WARN"`) {
			t.Errorf("log:\n%s", log)
		}
		if strings.Count(w.logText(), "no account that can get mail") != 1 {
			t.Errorf("nobody can find out where the mail is:\n%s", w.logText())
		}
	})
}

// Each account of a login has a mail of its own, however often that of another
// is tried.
func TestRetryIsForOneAccount(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
		w.ask("family@example.com")
		time.Sleep(5 * time.Minute)
		w.relay.say(nil)
		time.Sleep(time.Hour)
		var to []string
		for _, l := range w.relay.all(reset.LetterReset) {
			to = append(to, l.To.ID)
		}
		slices.Sort(to)
		if !slices.Equal(to, []string{"71", "72"}) {
			t.Errorf("mails to %q", to)
		}
	})
}

// An account that loses its address while its mail waits is mailed no more.
func TestAddressThatIsGone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
		w.ask("alice")
		time.Sleep(10 * time.Second)
		w.relay.say(nil)
		w.dir.put("alice", reset.Account{ID: alice.ID, Login: alice.Login})
		time.Sleep(2 * time.Hour)
		if n := w.relay.count(reset.LetterReset); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestPanicsOfAdaptersEndOneAttempt(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		var again atomic.Bool
		w.relay.say(func(reset.Letter) reset.Delivery {
			if !again.Swap(true) {
				panic("secret " + good)
			}
			return reset.Delivery{Status: reset.Sent}
		})
		l := w.letter("alice")
		again.Store(false)
		w.app.say(func(reset.Change) *reset.Attempt {
			if !again.Swap(true) {
				panic("secret " + good)
			}
			return nil
		})
		w.wantChange(token(l.Link), good, reset.StatusPending)
		w.until(time.Hour, "the change", func() bool { return w.app.password("42") == good })
		if strings.Contains(w.logText(), good) {
			t.Error("the value of a panic was logged")
		}
	})
}

// A fault that every request meets must not hide everything else in the log,
// and another one must not hide behind it.
func TestAlarmIsLoggedOnceAMinute(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		alarms := func() int { return strings.Count(w.logText(), `"alarm":true`) }
		w.dir.fail(wrongSetting("the app answered 401"))
		for _, login := range []string{"alice", "bob", "carol", "nobody"} {
			w.ask(login)
			time.Sleep(5 * time.Second)
		}
		if n := alarms(); n != 1 {
			t.Errorf("%d alarms of one cause within a minute", n)
		}
		w.dir.fail(wrongSetting("the app answered 404"))
		w.ask("dave")
		time.Sleep(5 * time.Second)
		if n := alarms(); n != 2 {
			t.Errorf("%d alarms of two causes", n)
		}
		time.Sleep(3 * time.Minute) // the requests are tried again meanwhile
		if n := alarms(); n < 3 {
			t.Error("the alarm is not repeated while the fault lasts")
		}
	})
}

type wrongSetting string

func (e wrongSetting) Error() string { return string(e) }
func (wrongSetting) Alarm() bool     { return true }

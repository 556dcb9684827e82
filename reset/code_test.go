package reset_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// guess enters a code once and reports whether it was right.
func (w *world) guess(login, code string) bool {
	w.t.Helper()
	_, err := w.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: code})
	if err != nil && !errors.Is(err, reset.ErrCode) {
		w.t.Fatalf("guess: %v", err)
	}
	return err == nil
}

// wrong returns a code that is not c.
func wrong(c string, n int) string {
	g := fmt.Sprintf("%08d", n)
	if g == c {
		return "99999999"
	}
	return g
}

func TestFiveWrongCodesEndItAndLeaveTheLink(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		for n := range 5 {
			if w.guess("alice", wrong(l.Code, n)) {
				t.Fatal("a wrong code was taken")
			}
		}
		if w.guess("alice", l.Code) {
			t.Error("the right code was taken after five wrong ones")
		}
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

// Whoever asks for a mail between guesses must not have more of them at the code
// of an earlier one.
func TestNewMailBringsNoCodeBack(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		first := w.letter("alice")
		for n := range 4 {
			w.guess("alice", wrong(first.Code, n))
		}
		second := w.letter("alice")
		w.guess("alice", wrong(first.Code, 4))
		third := w.letter("alice")
		if w.guess("alice", first.Code) {
			t.Error("a code was taken after five wrong ones, as there was another mail")
		}
		for _, l := range []reset.Letter{second, third} {
			if !w.guess("alice", l.Code) {
				t.Error("the code of a later mail was not taken")
			}
		}
		w.wantChange(token(first.Link), good, reset.StatusChanged)
	})
}

func TestConcurrentGuessesAreAllCounted(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		var taken atomic.Int32
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() {
				code := wrong(l.Code, n)
				if n == 500 {
					code = l.Code
				}
				if _, err := w.site.Code(context.Background(), reset.CodeEntry{Login: "alice", Code: code}); err == nil {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if w.guess("alice", l.Code) {
			t.Error("the code survived a thousand guesses")
		}
	})
}

func TestNewCodeDoesNotClearTheConsecutiveCount(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		wrongGuesses := 0
		for day := range 6 {
			for range 5 {
				l := w.letter("alice")
				if l.Code == "" {
					break
				}
				for n := range 5 {
					w.guess("alice", wrong(l.Code, n))
					wrongGuesses++
				}
				time.Sleep(31 * time.Minute)
			}
			if wrongGuesses > 20*(day+1) {
				t.Fatalf("%d guesses were compared within %d days", wrongGuesses, day+1)
			}
			time.Sleep(24 * time.Hour)
		}
		if wrongGuesses != 100 {
			t.Fatalf("%d guesses were possible without a success, want 100", wrongGuesses)
		}
		// The link brings the codes back.
		w.wantChange(token(w.letter("alice").Link), good, reset.StatusChanged)
		if l := w.letter("alice"); l.Code == "" {
			t.Error("no code after a change by link")
		}
	})
}

func TestCodeOfAnotherLogin(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a := w.letter("alice")
		w.letter("bob")
		if w.guess("bob", a.Code) || w.guess("nobody", a.Code) {
			t.Error("alice's code opened something else")
		}
		if !w.guess("alice", a.Code) {
			t.Error("the right code was refused")
		}
	})
}

// sameCodes makes all codes alike.
type sameCodes struct{ kvtest.Indexer }

func (i sameCodes) Index(label string, parts ...string) [32]byte {
	if label == "code" {
		parts = nil
	}
	return i.Indexer.Index(label, parts...)
}

// A login may stand for several accounts. If a code opens two of them, nobody
// knows which one was meant.
func TestTwoMatchesAreAFailure(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		w.startWith(func(c *reset.Config) { c.Indexer = sameCodes{} })
		w.ask("family@example.com")
		w.until(time.Minute, "two letters", func() bool { return w.relay.count(reset.LetterReset) == 2 })
		if w.guess("family@example.com", "12345678") {
			t.Error("a code that opens two accounts was taken")
		}
		w.ask("alice")
		w.until(time.Minute, "a letter", func() bool { return w.relay.count(reset.LetterReset) == 3 })
		if !w.guess("alice", "12345678") {
			t.Error("the test tests nothing")
		}
	})
}

func TestHowACodeMayBeTyped(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		l := w.letter("alice")
		a, b := l.Code[:4], l.Code[4:]
		for _, typed := range []string{"１２３４５６７８", a + b + "0", a, "+" + l.Code, "0x" + l.Code, a + "\n" + b, a + "." + b, ""} {
			if w.guess("alice", typed) {
				t.Errorf("%q was taken", typed)
			}
		}
		for _, typed := range []string{l.Code, " " + a + " " + b + " ", a + "-" + b} {
			if !w.guess("alice", typed) {
				t.Errorf("%q was refused", typed)
			}
		}
	})
}

func TestTokenForACodeEndsWithTheCode(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		time.Sleep(8 * time.Minute)
		tok := w.code("alice", l.Code)
		time.Sleep(3 * time.Minute)
		w.wantDead(tok)
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

func TestSprayingCodesRaisesAnAlarm(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := range 500 {
			if n == 499 && strings.Contains(w.logText(), `"alarm":true`) {
				t.Fatal("alarm too early")
			}
			w.guess(fmt.Sprintf("login%d", n), "00000000")
		}
		if !strings.Contains(w.logText(), `"alarm":true`) {
			t.Error("no alarm")
		}
	})
}

func TestMalformedTokens(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		tok := token(w.letter("alice").Link)
		for _, bad := range []string{
			"", "x", tok[:63], tok + "A", tok + "=", tok[:63] + "=", tok[:63] + "*", tok[:32] + "\n" + tok[33:], tok[:32] + "\n" + tok[32:],
			tok[:63] + "+", tok[:63] + "/", " " + tok, string(make([]byte, 64)),
		} {
			if _, err := w.site.Look(context.Background(), bad, client); !errors.Is(err, reset.ErrGrant) {
				t.Errorf("token %q: %v", bad, err)
			}
		}
	})
}

// A client that enters a code again, because the app was down and so it was not
// told "changed", learns that its password is on its way.
func TestCodeOfAChangeUnderWay(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.app.down()
		l := w.letter("alice")
		const password = "a long enough password"
		for range 2 {
			second, err := w.site.Code(t.Context(), reset.CodeEntry{Login: "alice", Code: l.Code})
			if err != nil {
				t.Fatal(err)
			}
			w.wantChange(second, password, reset.StatusPending)
		}
		second, err := w.site.Code(t.Context(), reset.CodeEntry{Login: "alice", Code: l.Code})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.change(second, password+"!"); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("another password: %v", err)
		}
		w.app.say(nil)
		w.until(time.Hour, "the change", func() bool { return w.app.password("42") == password })
		if _, err := w.site.Code(t.Context(), reset.CodeEntry{Login: "alice", Code: l.Code}); !errors.Is(err, reset.ErrCode) {
			t.Errorf("the code of a completed change: %v", err)
		}
	})
}

// Whoever guesses codes for ever new logins fills no disk by it: what is
// written in place of a count is a bounded number of rows, however many
// addresses the guesses come from and however long they go on.
func TestGuessesForManyLoginsTakeNoRoom(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		rows := func() int { return strings.Count(w.dump(), "\n") }
		most := 0
		for n := range 30_000 {
			w.guess(fmt.Sprint("nobody", n), "12345678")
			time.Sleep(60 * time.Millisecond)
			if n%1000 == 0 {
				most = max(most, rows())
			}
		}
		// 256 records, each listed for each of the minutes in which it may expire.
		if most > 256*14 {
			t.Errorf("30,000 guesses left %d rows", most)
		}
		time.Sleep(time.Hour)
		if n := rows(); n != 0 {
			t.Errorf("%d rows are left an hour later", n)
		}
	})
}

package reset_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// After an older copy of the store was put back no grant of it works, and a
// change that it holds, which may have been applied since, is reported and not
// delivered.
func TestOlderCopyOfTheStore(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		b := w.letter("bob")
		w.app.down()
		w.wantChange(token(b.Link), good, reset.StatusPending)
		w.stop()
		w.app.say(nil)
		w.era = 7
		w.start()
		w.wantDead(token(l.Link))
		w.until(3*time.Hour, "the report", func() bool { return w.relay.count(reset.LetterFailed) == 1 })
		if w.app.password("43") != "" {
			t.Error("a change of an older copy was delivered")
		}
		l = w.letter("alice")
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

func TestEverythingExpires(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for _, login := range []string{"alice", "bob", "nobody", "family@example.com"} {
			w.ask(login)
		}
		time.Sleep(time.Minute)
		w.guess("stranger", "12345678")
		w.wantChange(token(w.relay.last(reset.LetterReset).Link), good, reset.StatusChanged)
		time.Sleep(26 * time.Hour)
		if rest := w.dump(); rest != "" {
			t.Errorf("left in the store:\n%s", rest)
		}
	})
}

// A site that is taken out of the configuration may come back until the
// deadlines of its jobs; then their passwords go.
func TestJobsOfASiteThatIsGone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		w.stop()
		w.startWith(func(c *reset.Config) { c.Sites[0].ID = "other.example.com" })
		time.Sleep(23 * time.Hour)
		if !strings.Contains(w.dump(), good) {
			t.Fatal("the change was dropped before its deadline")
		}
		time.Sleep(2 * time.Hour)
		if strings.Contains(w.dump(), good) {
			t.Error("the password outlived its deadline")
		}
		if !strings.Contains(w.logText(), "no longer configured") {
			t.Error("no alarm")
		}
	})
}

// A sequence grows with each change, also when the store is lost in between.
func TestSequenceGrows(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		var last int64
		w.app.say(func(c reset.Change) *reset.Attempt {
			if c.Sequence <= last || c.Sequence < time.Now().Add(-time.Minute).UnixMilli() {
				t.Errorf("sequence %d after %d", c.Sequence, last)
			}
			last = c.Sequence
			return nil
		})
		for range 3 {
			w.wantChange(token(w.letter("alice").Link), good, reset.StatusChanged)
			time.Sleep(time.Hour)
		}
		w.stop()
		w.store = kvtest.Memory()
		w.start()
		w.wantChange(token(w.letter("alice").Link), good, reset.StatusChanged)
	})
}

// Two changes within a millisecond, or by a clock that went back, are told
// apart: the app keeps the one with the larger number.
func TestSequencesOfOneInstant(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		var sequences []int64
		w.app.say(func(c reset.Change) *reset.Attempt {
			sequences = append(sequences, c.Sequence)
			return &reset.Attempt{Verdict: reset.Retry}
		})
		now := time.Now()
		w.wantChange(token(first.Link), good, reset.StatusPending)
		w.wantChange(token(second.Link), good, reset.StatusPending)
		if !time.Now().Equal(now) || len(sequences) != 2 {
			t.Fatalf("%d attempts in %s", len(sequences), time.Since(now))
		}
		if sequences[1] <= sequences[0] {
			t.Errorf("sequence %d after %d", sequences[1], sequences[0])
		}
	})
}

// A job that cannot be read is put aside with an alarm, and holds up no other.
func TestDamagedJobHoldsUpNoOther(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask("alice")
		damaged := 0
		err := w.store.Update(context.Background(), func(tx kv.Tx) error {
			for line := range strings.Lines(w.dump()) {
				text, _, _ := strings.Cut(line, " ")
				key, err := hex.DecodeString(text)
				if err != nil || key[0] != 'j' {
					continue
				}
				damaged++
				if err := tx.Put(key, []byte("{")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || damaged != 1 {
			t.Fatalf("%d jobs damaged: %v", damaged, err)
		}
		time.Sleep(3 * time.Second) // it is due, and first in the queue
		w.letter("bob")
		if !strings.Contains(w.logText(), "could not be read") {
			t.Error("no alarm")
		}
		for line := range strings.Lines(w.dump()) {
			if strings.HasSuffix(line, " {\n") {
				t.Errorf("it is still in the queue: %s", line)
			}
		}
	})
}

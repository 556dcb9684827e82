package reset_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// waiting returns the one job of a kind that waits.
func (w *world) waiting(kind string) (found reset.WaitingJob) {
	w.t.Helper()
	jobs, err := w.site.Waiting(context.Background(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, j := range jobs {
		if j.Kind == kind {
			found = j
			n++
		}
	}
	if n != 1 {
		w.t.Fatalf("%d jobs of kind %s: %+v", n, kind, jobs)
	}
	one, err := w.services[0].WaitingJob(context.Background(), found.ID)
	if err != nil || one != found {
		w.t.Errorf("alone it is %+v, %v", one, err)
	}
	return found
}

func TestWaitingMail(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.Unreachable, Err: errors.New("connection refused")}
		})
		reference := w.ask("alice")
		time.Sleep(5 * time.Second)
		j := w.waiting("mail")
		wait := time.Until(j.Due)
		if j.Reference != reference || j.Attempts != 1 || j.Trying || j.Cause != "connection refused" || wait < 10*time.Second || wait > 40*time.Second {
			t.Errorf("it waits as %+v, for %s", j, wait)
		}
		w.relay.say(nil)
		svc := w.services[0]
		if err := svc.RetryJob(context.Background(), j.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if w.relay.count(reset.LetterReset) != 1 {
			t.Error("it is not tried at once")
		}
		if err := svc.RetryJob(context.Background(), j.ID); !errors.Is(err, reset.ErrJob) {
			t.Errorf("retrying it again: %v", err)
		}
		for _, none := range []string{"", "x", "AAAAAAAAAAAAAAAAAAAAAA", j.ID + "="} {
			if err := svc.DropJob(context.Background(), none); !errors.Is(err, reset.ErrJob) {
				t.Errorf("dropping %q: %v", none, err)
			}
		}
	})
}

func TestDropAMail(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.fail(errors.New("answer 502"))
		w.ask("alice")
		time.Sleep(5 * time.Second)
		if err := w.services[0].DropJob(context.Background(), w.waiting("mail").ID); err != nil {
			t.Fatal(err)
		}
		w.dir.fail(nil)
		time.Sleep(time.Hour)
		if n := w.relay.count(reset.LetterReset); n != 0 {
			t.Errorf("%d dropped mails were sent", n)
		}
		w.wantTrace("alice", "asked revoked")
	})
}

// A dropped change ends with its link, and its owner hears of it.
func TestDropAChange(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		time.Sleep(10 * time.Second)
		if err := w.services[0].DropJob(context.Background(), w.waiting("change").ID); err != nil {
			t.Fatal(err)
		}
		w.app.say(nil)
		time.Sleep(3 * time.Hour)
		if w.app.changes() != 0 {
			t.Error("a dropped change was handed over")
		}
		if n := w.relay.count(reset.LetterFailed); n != 1 {
			t.Errorf("%d notices say that it was not", n)
		}
		w.wantDead(token(l.Link))
		w.wantTrace("alice", "asked mailed accepted pending revoked")
	})
}

// What is on its way to the app at this moment may land: it is neither dropped nor
// tried beside itself.
func TestAJobThatIsTriedIsLeftAlone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.delay(4 * time.Second)
		told := w.submit(l.Link, good)
		time.Sleep(time.Second)
		j := w.waiting("change")
		if !j.Trying {
			t.Errorf("it is tried, and shown as %+v", j)
		}
		if err := w.services[0].RetryJob(context.Background(), j.ID); !errors.Is(err, reset.ErrJobBusy) {
			t.Errorf("retrying it: %v", err)
		}
		if err := w.services[0].DropJob(context.Background(), j.ID); !errors.Is(err, reset.ErrJobBusy) {
			t.Errorf("dropping it: %v", err)
		}
		if r := <-told; r.Status != reset.StatusChanged {
			t.Errorf("the change is %s", r.Status)
		}
		if w.app.mostAtOnce() != 1 || w.app.attempts() != 1 {
			t.Error("it was tried twice")
		}
	})
}

func TestBacklogTellsHowLongTheOldestWaits(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.fail(errors.New("answer 502"))
		began := time.Now()
		w.ask("alice")
		time.Sleep(10 * time.Minute)
		w.ask("bob")
		all, err := w.services[0].Backlog(context.Background())
		if err != nil || len(all) != 3 {
			t.Fatal(all, err)
		}
		for _, b := range all {
			want := 0
			if b.Kind == "mail" {
				want = 2
			}
			if b.Waiting != want || b.Site != "app.example.com" || want > 0 && !b.Oldest.Equal(began.Truncate(time.Millisecond)) || want == 0 && !b.Oldest.IsZero() {
				t.Errorf("%+v", b)
			}
		}
	})
}

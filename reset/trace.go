package reset

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A TracedRequest is what is known of one request.
type TracedRequest struct {
	Reference string
	Steps     []Event      // in order
	OpenUntil time.Time    // until when link or code still open something; zero if they do not
	Waiting   []WaitingJob // what goes on
}

// Trace tells what became of the latest requests for a login, the newest first:
// those of the last day, of a login without an account two hours, at most eight of
// each account. It asks nobody and changes nothing; nothing that is stored for it
// names the login in clear. It also finds requests for other names of an account
// that this login has led to.
//
// It returns [ErrLogin].
func (s *Site) Trace(ctx context.Context, login string) ([]TracedRequest, error) {
	login, err := cleanLogin(login)
	if err != nil {
		return nil, err
	}
	release, err := s.svc.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	now := time.Now()
	known := make(map[string]*TracedRequest)
	var keys [][]byte
	err = s.svc.store.View(ctx, func(tx kv.Reader) error {
		clear(known)
		if keys, err = s.recordsOf(tx, login); err != nil {
			return err
		}
		for _, key := range keys {
			r, err := s.svc.loadRecord(tx, key, now)
			if err != nil {
				return err
			}
			s.recount(r, known, now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range jobKinds {
		if err := s.addWaiting(ctx, k, login, keys, known); err != nil {
			return nil, err
		}
	}
	all := make([]TracedRequest, 0, len(known))
	for _, t := range known {
		slices.SortStableFunc(t.Steps, func(a, b Event) int { return a.At.Compare(b.At) })
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b TracedRequest) int {
		return cmp.Or(b.Steps[0].At.Compare(a.Steps[0].At), cmp.Compare(a.Reference, b.Reference))
	})
	return all, nil
}

// recordsOf returns the keys of the records that a login has led to within a day.
func (s *Site) recordsOf(tx getter, login string) (keys [][]byte, err error) {
	keys = [][]byte{s.decoyKey(login), s.limitedKey(login)}
	var row loginRow
	if err := getRow(tx, s.loginKey(login), &row); err != nil {
		return nil, err
	}
	for _, l := range row.Live {
		if !containsKey(keys, l.Account) {
			keys = append(keys, l.Account)
		}
	}
	return keys, nil
}

// recount adds the stories of a record to what is known.
func (s *Site) recount(r *record, known map[string]*TracedRequest, now time.Time) {
	for _, t := range r.Stories {
		told := t.told(s.config.ID)
		if had := known[t.Reference]; had != nil {
			// One request for two accounts was asked for once.
			had.Steps = append(had.Steps, told[1:]...)
			continue
		}
		known[t.Reference] = &TracedRequest{Reference: t.Reference, Steps: told}
	}
	for _, g := range r.Grants {
		t := known[g.Reference]
		if t == nil || r.Decoy {
			continue
		}
		if at := s.svc.shared.openings.at(g.ID); !at.IsZero() && !r.wasTold(g.Reference, StepOpened) {
			t.Steps = append(t.Steps, Event{At: at, Site: s.config.ID, Reference: g.Reference, Step: StepOpened, Detail: byLink})
		}
		if g.Change.isZero() && !g.expired(now) {
			t.OpenUntil = time.UnixMilli(max(g.Expires, g.CodeExpires, t.OpenUntil.UnixMilli()))
		}
	}
}

// addWaiting adds the jobs of one kind that belong to a login, or to what is known
// of it: a request that was not looked up yet stands in the queue only.
func (s *Site) addWaiting(ctx context.Context, k jobKind, login string, keys [][]byte, known map[string]*TracedRequest) error {
	return s.eachRow(ctx, k, func(row kv.Pair) bool {
		h, err := readJob(k, row)
		if err != nil {
			return true
		}
		t := known[h.Reference]
		if t == nil && k == jobMail && (Fold(h.Login) == Fold(login) || containsKey(keys, h.Account)) {
			asked := Event{At: time.UnixMilli(h.Created), Site: s.config.ID, Reference: h.Reference, Step: StepAsked, Detail: askedBy(h.Desk)}
			t = &TracedRequest{Reference: h.Reference, Steps: []Event{asked}}
			known[h.Reference] = t
		}
		if t != nil {
			t.Waiting = append(t.Waiting, h.waiting())
		}
		return true
	})
}

package reset

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// The look-up begins a random time after the answer, so that what the next
// request meets tells nothing about this one.
const (
	minMailDelay = 200 * time.Millisecond
	maxMailDelay = 2 * time.Second

	// headStart is how long a request is left to the process that accepted it.
	headStart = 3 * time.Second
)

// Request stores that somebody asked for a reset of a login and returns the
// reference that person and operator know it by. Nothing is looked up: the
// answer is the same for every login.
//
// It returns [ErrLogin], [ErrWords], a [*LimitError] for this client, or
// [ErrUnavailable].
func (s *Site) Request(ctx context.Context, r Request) (reference string, err error) {
	if r.Login, err = cleanLogin(r.Login); err != nil {
		return "", err
	}
	words, err := packWords(r.Words)
	if err != nil {
		return "", err
	}
	if err := s.limit(limitAsk, r.ClientIP, r.Trusted); err != nil {
		return "", err
	}
	return s.enqueue(ctx, r, words, false)
}

// enqueue stores a request for a clean login that no limit by address holds.
func (s *Site) enqueue(ctx context.Context, r Request, words *words, desk bool) (reference string, err error) {
	now := time.Now()
	if !s.svc.clockIsSane(now) {
		return "", ErrUnavailable
	}
	if s.full(jobMail) {
		s.svc.observer.Limited(s.config.ID, LimitQueue)
		s.svc.alarm(s.config.ID, "the mail queue is full; requests are refused until it drains", nil)
		return "", ErrUnavailable
	}
	j := s.newJob(jobMail, now, newReference())
	j.Login, j.Dialect, j.Desk = r.Login, r.Dialect, desk
	if s.queue(jobMail).count.Load() < maxWordedJob {
		j.Words = words
	}
	j.LinkTTL = max(0, min(r.LinkTTL, MaxLinkTTL)).Milliseconds()
	var queued *heldJob
	err = s.update(ctx, func(tx kv.Tx) (err error) {
		queued, err = s.place(tx, jobMail, j, now.Add(headStart))
		return err
	})
	if err != nil {
		return "", s.unavailable("accepting a request", err)
	}
	q := s.queue(jobMail)
	q.count.Add(1)
	if !q.lineup.add(queued, minMailDelay+randomBelow(maxMailDelay-minMailDelay), q.stir) {
		q.poke()
	}
	attrs := []any{"reference", j.Reference}
	if r.Dialect != "" {
		attrs = append(attrs, "dialect", r.Dialect)
	}
	s.log.Info("reset asked for", attrs...)
	s.observe(now, j.Reference, StepAsked, askedBy(desk))
	return j.Reference, nil
}

// words are a caller's words as a row holds them: as bytes, which JSON keeps in
// base64, so that no escape makes a row longer than another.
type words struct {
	Subject []byte `json:"subject"`
	Text    []byte `json:"text"`
}

func packWords(w *Words) (*words, error) {
	if w == nil {
		return nil, nil
	}
	if len(w.Subject)+len(w.Text) > MaxWords || !utf8.ValidString(w.Subject) || !utf8.ValidString(w.Text) {
		return nil, ErrWords
	}
	return &words{Subject: []byte(w.Subject), Text: []byte(w.Text)}, nil
}

func (w *words) unpack() *Words {
	if w == nil {
		return nil
	}
	return &Words{Subject: string(w.Subject), Text: string(w.Text)}
}

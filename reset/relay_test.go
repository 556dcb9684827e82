package reset_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

type relay struct {
	mu      sync.Mutex
	letters []reset.Letter
	answer  func(reset.Letter) reset.Delivery // nil: takes everything
}

func (r *relay) Send(_ context.Context, m reset.Message) reset.Delivery {
	var l reset.Letter
	if err := json.Unmarshal(m.Data, &l); err != nil {
		panic(err)
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	d := reset.Delivery{Status: reset.Sent}
	if answer != nil {
		d = answer(l)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Status == reset.Sent || d.Status == reset.Unknown {
		r.letters = append(r.letters, l)
	}
	return d
}

func (r *relay) say(answer func(reset.Letter) reset.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *relay) all(k reset.LetterKind) (of []reset.Letter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.letters {
		if l.Kind == k {
			of = append(of, l)
		}
	}
	return of
}

func (r *relay) count(k reset.LetterKind) int { return len(r.all(k)) }

func (r *relay) last(k reset.LetterKind) reset.Letter {
	all := r.all(k)
	return all[len(all)-1]
}

// composer writes the letter itself as the mail, so that the relay can read it.
type composer struct{}

func (composer) Compose(l reset.Letter) (reset.Message, error) {
	b, err := json.Marshal(l)
	return reset.Message{From: "support@example.com", To: l.To.Email, Data: b}, err
}

// token takes the token out of a link as links below makes it.
func token(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

type links struct{}

func (links) Link(dialect, t string) string {
	if dialect != "" {
		return "https://app.example.com/" + dialect + "/" + t
	}
	return "https://app.example.com/password-reset/link/" + t
}

func (links) CancelLink(t string) string { return "https://app.example.com/password-reset/cancel/" + t }
func (links) AskLink() string            { return "https://app.example.com/password-reset" }

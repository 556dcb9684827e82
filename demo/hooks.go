package demo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// maxHook bounds the body of a hook; Standard Webhooks asks senders to stay
// below 20 kB.
const maxHook = 64 << 10

// A Delivery is one lookup or change that reached a hook with a good signature.
// It never holds a password.
type Delivery struct {
	ID       string // webhook-id
	Type     string // account.lookup or password.changed
	Site     string
	Account  string // password.changed: the id of the account
	Sequence int64  // password.changed
	Format   string // password.changed: plain, bcrypt or argon2id
	Status   int    // what the app answered
}

// Deliveries returns what has reached the hooks, oldest first: the last
// thousand.
func (a *App) Deliveries() []Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.deliveries)
}

// hookBody is the body of a hook of either type.
type hookBody struct {
	Type string `json:"type"`
	Data struct {
		Site     string `json:"site"`
		Login    string `json:"login"`
		Sequence int64  `json:"sequence"`
		Account  struct {
			ID string `json:"id"`
		} `json:"account"`
		Password struct {
			Format string `json:"format"`
			Value  string `json:"value"`
		} `json:"password"`
	} `json:"data"`
}

// refusal is a password that the app does not want. Its text is shown to the
// person.
type refusal string

func (r refusal) Error() string { return string(r) }

// signed lets through what was signed with the secret, and keeps a record.
func (a *App) signed(hook func(http.ResponseWriter, string, hookBody) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
		if err != nil {
			http.Error(w, "body too large or cut", http.StatusRequestEntityTooLarge)
			return
		}
		// The signature covers the bytes, so they are checked before anything
		// looks into them.
		if err := webhookout.Verify(a.secrets, r.Header, body, time.Now()); err != nil {
			a.logger.Warn("hook refused", "path", r.URL.Path, "error", err)
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		var m hookBody
		if err := json.Unmarshal(body, &m); err != nil {
			http.Error(w, "body is not the JSON of a hook", http.StatusBadRequest)
			return
		}
		id := r.Header.Get("Webhook-Id")
		if m.Type == "ping" {
			// Somebody checks the set-up; there is nothing to do.
			a.logger.Info("hook answered", "type", "ping", "webhook_id", id, "status", http.StatusNoContent)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := hook(w, id, m)
		a.logger.Info("hook answered", "type", m.Type, "webhook_id", id, "status", status)
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.deliveries) == maxDelivered {
			a.deliveries = slices.Delete(a.deliveries, 0, 1)
		}
		a.deliveries = append(a.deliveries, Delivery{
			ID: id, Type: m.Type, Site: m.Data.Site, Account: m.Data.Account.ID,
			Sequence: m.Data.Sequence, Format: m.Data.Password.Format, Status: status,
		})
	}
}

func (a *App) lookup(w http.ResponseWriter, _ string, m hookBody) int {
	if m.Type != "account.lookup" {
		return answer(w, http.StatusBadRequest, problem{"This hook takes account.lookup."})
	}
	accounts := []Account{}
	if p, _ := a.find(m.Data.Login); p != nil {
		accounts = append(accounts, p.Account)
	}
	return answer(w, http.StatusOK, map[string][]Account{"accounts": accounts})
}

func (a *App) changed(w http.ResponseWriter, id string, m hookBody) int {
	if m.Type != "password.changed" {
		return answer(w, http.StatusBadRequest, problem{"This hook takes password.changed."})
	}
	hash, err := a.stored(m.Data.Password.Format, m.Data.Password.Value)
	var no refusal
	if err != nil && !errors.As(err, &no) {
		return answer(w, http.StatusBadRequest, problem{"This is no password in a format that the app takes."})
	}

	// One lock stands for the transaction of a real app: id, sequence and
	// password are compared and stored together or not at all.
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.people, func(p *person) bool { return p.ID == m.Data.Account.ID })
	if i < 0 {
		return answer(w, http.StatusGone, problem{"There is no such account."})
	}
	p := a.people[i]
	switch {
	case p.applied[id]:
		// A repeat: the answer to the first was lost on the way.
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	case m.Data.Sequence < p.sequence:
		// Late, not repeated: it must not undo a newer change.
		return answer(w, http.StatusConflict, problem{"A newer change was applied."})
	case no != "":
		// Not kept: a repeat of it is judged anew.
		return answer(w, http.StatusUnprocessableEntity, problem{string(no)})
	}
	p.hash, p.sequence, p.applied[id] = hash, m.Data.Sequence, true
	// Whoever was logged in with the old password is not any more.
	for token, owner := range a.sessions {
		if owner == p {
			delete(a.sessions, token)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent
}

// stored returns what the app keeps of a password: its bcrypt hash, or the
// hash that was sent. The error is a [refusal] if the app cannot store it.
func (a *App) stored(format, value string) (string, error) {
	switch format {
	case "plain":
		switch {
		case strings.Contains(fold(value), "legacy"):
			return "", refusal("The old system cannot store passwords with the word \"legacy\".")
		case len(value) > 72:
			// bcrypt would ignore the rest.
			return "", refusal("The old system cannot store passwords of more than 72 bytes.")
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(value), a.cost)
		return string(hash), err
	case "bcrypt":
		cost, err := bcrypt.Cost([]byte(value))
		if err == nil && cost > maxBcryptCost {
			err = errors.New("cost of bcrypt is out of bounds")
		}
		return value, err
	case "argon2id":
		_, err := parseArgon2id(value)
		return value, err
	}
	return "", errors.New("unknown password format")
}

// problem is an error body after RFC 9457.
type problem struct {
	Detail string `json:"detail"`
}

func answer(w http.ResponseWriter, status int, body any) int {
	contentType := "application/json"
	if _, ok := body.(problem); ok {
		contentType = "application/problem+json"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// A failed write means that the sender is gone; it will ask again.
	_ = json.NewEncoder(w).Encode(body)
	return status
}

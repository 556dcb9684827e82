package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// overlapPatience is how long an attempt of a program that has died may take to
// be seen as given up.
const overlapPatience = 500 * time.Millisecond

// A witness stands before the app's hooks and notes what the program hands over
// and what it is told.
type witness struct {
	mu       sync.Mutex
	attempts []*handover
	flying   map[string]*handover // by account
	faults   []error
}

// A handover is one password.changed that has arrived.
type handover struct {
	id, account, password, reference string
	sequence                         int64

	status int // what the program was told; 0 while it was told nothing
	told   time.Time

	ctx  context.Context
	over chan struct{} // closed when the app is done with it
	cut  bool          // the program had hung up by then
}

func (w *witness) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != demo.ChangedPath {
			app.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off before it was whole
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var m struct {
			Data struct {
				ResetID  string `json:"reset_id"`
				Sequence int64  `json:"sequence"`
				Account  struct {
					ID string `json:"id"`
				} `json:"account"`
				Password struct {
					Value string `json:"value"`
				} `json:"password"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &m); err != nil {
			w.fault(fmt.Errorf("the app was sent a password.changed that is no JSON: %w", err))
		}
		h := &handover{
			id: r.Header.Get("Webhook-Id"), account: m.Data.Account.ID, password: m.Data.Password.Value,
			reference: m.Data.ResetID, sequence: m.Data.Sequence, ctx: r.Context(), over: make(chan struct{}),
		}
		w.arrive(h)
		defer func() {
			w.mu.Lock()
			h.cut = r.Context().Err() != nil
			w.mu.Unlock()
			close(h.over)
		}()
		app.ServeHTTP(&told{ResponseWriter: rw, witness: w, handover: h}, r)
	})
}

// arrive holds that nothing else is in flight for the account. What hung up is
// not in flight, though it may take a moment until that is seen here.
func (w *witness) arrive(h *handover) {
	w.mu.Lock()
	before := w.flying[h.account]
	if w.flying == nil {
		w.flying = make(map[string]*handover)
	}
	w.flying[h.account] = h
	w.attempts = append(w.attempts, h)
	w.mu.Unlock()
	if before == nil || before.ended() {
		return
	}
	select {
	case <-before.over:
	case <-before.ctx.Done():
	case <-time.After(overlapPatience):
	}
	if before.ctx.Err() == nil || before.ended() && !before.cut {
		w.fault(fmt.Errorf("attempts of the changes %s and %s were in flight for account %s at once", before.id, h.id, h.account))
	}
}

// died forgets what a program that has died had in flight.
func (w *witness) died() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.flying)
}

func (h *handover) ended() bool {
	select {
	case <-h.over:
		return true
	default:
		return false
	}
}

func (w *witness) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, err)
}

// of returns the handovers of a password, in the order of their arrival.
func (w *witness) of(password string) (found []handover) {
	return w.that(func(h *handover) bool { return h.password == password })
}

// by returns those of an account.
func (w *witness) by(account string) (found []handover) {
	return w.that(func(h *handover) bool { return h.account == account })
}

func (w *witness) that(is func(*handover) bool) (found []handover) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.attempts {
		if is(h) {
			found = append(found, *h)
		}
	}
	return found
}

// applied reports whether the app has taken the password and told the program.
func (w *witness) applied(password string) bool {
	return len(w.that(func(h *handover) bool { return h.password == password && h.applied() })) > 0
}

func (h *handover) applied() bool { return h.status/100 == 2 }

// final reports whether the app's answer leaves nothing to be tried again.
func (h *handover) final() bool {
	switch h.status {
	case http.StatusUnprocessableEntity, http.StatusGone, http.StatusConflict:
		return true
	}
	return h.applied()
}

// told notes an answer before the program can have it.
type told struct {
	http.ResponseWriter
	witness  *witness
	handover *handover
}

func (t *told) WriteHeader(status int) {
	t.witness.mu.Lock()
	if t.handover.status == 0 {
		t.handover.status, t.handover.told = status, time.Now()
	}
	t.witness.mu.Unlock()
	t.ResponseWriter.WriteHeader(status)
}

func (t *told) Write(b []byte) (int, error) {
	t.witness.mu.Lock()
	silent := t.handover.status == 0
	t.witness.mu.Unlock()
	if silent {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(b)
}

func (t *told) Unwrap() http.ResponseWriter { return t.ResponseWriter }

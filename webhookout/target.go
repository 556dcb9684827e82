package webhookout

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

// A Target hands changes to the app as messages of the type
// password.changed, with the id of the change as webhook-id:
//
//	{"type":"password.changed","timestamp":"2026-01-02T03:04:05Z",
//	 "data":{"site":"app.example.com","reset_id":"…","sequence":1767323045000,
//	         "account":{"id":"42","login":"alice"},
//	         "password":{"format":"plain","value":"…"}}}
//
// The answer decides:
//
//	204, or 2xx with an empty or JSON body   applied
//	422 with {"detail":"…"} (RFC 9457)       refused, for that reason
//	410                                      the account is gone
//	409                                      a newer change was applied
//	all else                                 tried again
type Target struct {
	Client *Client
	Site   string // as a ping tells the app; a change tells its own
}

// Apply implements [reset.Target]. Repeats of a change have the same body,
// byte for byte.
func (t *Target) Apply(ctx context.Context, c reset.Change) reset.Attempt {
	// The encoder would put U+FFFD for what is not UTF-8, and the app would
	// store a password that nobody typed.
	if !utf8.ValidString(c.Password) || !utf8.ValidString(c.Account.ID) {
		return reset.Attempt{Err: &fault{text: "change is not UTF-8"}, Alarm: true}
	}
	body, err := json.Marshal(newPasswordChanged(c))
	if err != nil {
		return reset.Attempt{Err: fmt.Errorf("encoding change: %w", err), Alarm: true}
	}
	a := t.Client.Post(ctx, Message{ID: c.ID, Body: body})
	switch {
	case a.OK():
		return reset.Attempt{Verdict: reset.Applied}
	case a.Status == http.StatusUnprocessableEntity:
		return reset.Attempt{Verdict: reset.Refused, Detail: detail(a.Body)}
	case a.Status == http.StatusGone:
		return reset.Attempt{Verdict: reset.Gone}
	case a.Status == http.StatusConflict:
		return reset.Attempt{Verdict: reset.Superseded}
	default:
		return reset.Attempt{RetryAfter: a.RetryAfter, Err: a.Problem(), Alarm: a.Alarm()}
	}
}

// Ping tries the hook without a change, see [Client.Ping].
func (t *Target) Ping(ctx context.Context) []Finding { return t.Client.Ping(ctx, t.Site) }

// Close closes idle connections.
func (t *Target) Close() { t.Client.Close() }

// detail reads the app's reason. One that is missing or malformed leaves a
// refusal without a reason: the status has said it.
func detail(body []byte) string {
	fields, err := strictjson.Parse(body)
	if err != nil {
		return ""
	}
	text, _ := fields.Text("detail")
	return reset.PlainText(text, reset.MaxDetail)
}

// passwordChanged is the body of the message. The order of the fields is part
// of the documented contract, though no receiver should rely on it.
type passwordChanged struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Site     string `json:"site"`
		ResetID  string `json:"reset_id"`
		Sequence int64  `json:"sequence"`
		Account  struct {
			ID    string `json:"id"`
			Login string `json:"login"`
		} `json:"account"`
		Password struct {
			Format string `json:"format"`
			Value  string `json:"value"`
		} `json:"password"`
	} `json:"data"`
}

func newPasswordChanged(c reset.Change) (m passwordChanged) {
	m.Type = "password.changed"
	m.Timestamp = c.At.UTC().Truncate(time.Second)
	m.Data.Site = c.Site
	m.Data.ResetID = c.ResetID
	m.Data.Sequence = c.Sequence
	m.Data.Account.ID = c.Account.ID
	m.Data.Account.Login = c.Account.Login
	m.Data.Password.Format = c.Format
	m.Data.Password.Value = c.Password
	return m
}

var _ reset.Target = (*Target)(nil)

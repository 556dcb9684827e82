// Package directory finds the accounts behind a login: [Webhook] asks the app,
// [File] reads a CSV file.
//
// Both return up to five accounts, none for a login that is unknown, and an
// error if they cannot tell. What they return has been checked: ids and logins
// are text of bounded length, addresses fulfil [reset.ValidAddress], names are
// one line without control characters. One account that fails the check in a
// lookup by webhook fails that lookup, as mail to the wrong place is worse
// than none; but one whose address alone is not valid is returned as it is
// beside one that can be mailed, for package reset to leave out. An account
// without an address is returned with an empty one: nothing can be mailed to
// it, and that is not the same as an unknown login.
//
// Neither keeps what it was asked, or puts a login, an address or a name into
// an error or a log.
package directory

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// A Webhook asks the app, with messages of the type account.lookup:
//
//	{"type":"account.lookup","timestamp":"2026-01-02T03:04:05Z",
//	 "data":{"site":"app.example.com","login":"alice"}}
//
// The app answers 200 with the accounts:
//
//	{"accounts":[{"id":"42","login":"alice","email":"alice@example.com",
//	              "name":"Alice","locale":"en"}]}
//
// and for an unknown login 200 or 404 with {"accounts":[]}. A 404 without
// that body is a wrong URL and an error, as is a sixth account: an app that
// returns everybody must not have everybody mailed. The id may be an integer;
// name and locale may be missing. An email that is empty, null or missing means
// that the account has none.
type Webhook struct {
	Client *webhookout.Client
	Site   string // as the app is told
}

// Lookup implements [reset.Directory]. Each call is a message with an id of
// its own.
func (w *Webhook) Lookup(ctx context.Context, login string) ([]reset.Account, error) {
	body, err := json.Marshal(newAccountLookup(w.Site, login))
	if err != nil {
		return nil, &lookupError{err: err}
	}
	a := w.Client.Post(ctx, webhookout.Message{ID: "lookup_" + rand.Text(), Body: body})
	switch {
	case a.Status == http.StatusOK && a.OK():
		accounts, err := parseAccounts(a)
		if err != nil {
			return nil, err
		}
		return accounts, nil
	case a.Status == http.StatusNotFound:
		if accounts, err := parseAccounts(a); err == nil && len(accounts) == 0 {
			return nil, nil
		}
		return nil, broken(`the app answered 404 without {"accounts":[]}; is the URL that of the hook?`)
	default:
		return nil, &lookupError{err: a.Problem(), alarm: a.Alarm() || misplaced(a.Status)}
	}
}

// Ping tries the hook without a lookup, see [webhookout.Client.Ping].
func (w *Webhook) Ping(ctx context.Context) []webhookout.Finding { return w.Client.Ping(ctx, w.Site) }

// Close closes idle connections.
func (w *Webhook) Close() { w.Client.Close() }

// misplaced says whether a status means something for a change and nothing
// for a lookup, or should have been 200.
func misplaced(status int) bool {
	switch status {
	case http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	}
	return status >= 200 && status < 300
}

// parseAccounts reads the body of an answer.
func parseAccounts(a webhookout.Answer) ([]reset.Account, error) {
	if a.Truncated {
		return nil, &lookupError{err: errors.New("the answer broke off, or is longer than 64 KiB")}
	}
	fields, err := strictjson.Parse(a.Body)
	if err != nil {
		return nil, broken("the answer is not one JSON object: " + err.Error())
	}
	var list []json.RawMessage
	if raw := fields["accounts"]; json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, broken(`the answer has no list "accounts"`)
	}
	if len(list) > reset.MaxAccounts {
		return nil, broken(fmt.Sprintf("the answer has %d accounts; at most %d may share a login", len(list), reset.MaxAccounts))
	}
	var accounts []reset.Account
	var unfit error // why the first account that can get no mail cannot
	fit := 0
	ids := make(map[string]bool)
	for i, raw := range list {
		account, err := parseAccount(raw)
		if err != nil {
			return nil, broken(fmt.Sprintf("account %d of the answer: %v", i+1, err))
		}
		if err := checkAccount(&account); err != nil {
			return nil, broken(fmt.Sprintf("account %d of the answer: %v", i+1, err))
		}
		if ids[account.ID] {
			return nil, broken(fmt.Sprintf("account %d of the answer: id stands there twice", i+1))
		}
		ids[account.ID] = true
		accounts = append(accounts, account)
		if account.Email == "" {
			continue
		}
		if err := reset.ValidAddress(account.Email); err == nil {
			fit++
		} else if unfit == nil {
			unfit = broken(fmt.Sprintf("account %d of the answer: %v", i+1, err))
		}
	}
	// With some apps anybody may take another's address for a login. An address
	// of theirs that is none must not keep the other from every mail.
	if fit == 0 && unfit != nil {
		return nil, unfit
	}
	return accounts, nil
}

func parseAccount(raw json.RawMessage) (a reset.Account, err error) {
	fields, err := strictjson.Parse(raw)
	if err != nil {
		return a, err
	}
	if a.ID, err = parseID(fields["id"]); err != nil {
		return a, err
	}
	for name, value := range map[string]*string{"login": &a.Login, "email": &a.Email, "name": &a.Name, "locale": &a.Locale} {
		raw := fields[name]
		// null and a missing field are an empty text.
		if raw != nil && json.Unmarshal(raw, value) != nil {
			return a, errors.New(name + " is not a string")
		}
	}
	return a, nil
}

// parseID reads a string or an integer. The digits are kept as they stand: as
// a float, 2^53 and 2^53+1 would be the same account.
func parseID(raw json.RawMessage) (string, error) {
	var id string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &id) == nil {
		return id, nil
	}
	for i, c := range raw {
		if !('0' <= c && c <= '9' || i == 0 && c == '-') {
			return "", errors.New("id is neither a string nor an integer")
		}
	}
	if len(raw) == 0 {
		return "", errors.New("id is missing")
	}
	return string(raw), nil
}

// accountLookup is the body of the message.
type accountLookup struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Site  string `json:"site"`
		Login string `json:"login"`
	} `json:"data"`
}

func newAccountLookup(site, login string) (m accountLookup) {
	m.Type = "account.lookup"
	m.Timestamp = time.Now().UTC().Truncate(time.Second)
	m.Data.Site = site
	m.Data.Login = login
	return m
}

var _ reset.Directory = (*Webhook)(nil)

// A receiver in Go, with the standard library only. It keeps its accounts in a
// JSON file; put your database there. Start it with
//
//	RESET_WEBHOOK_SECRET=whsec_… PORT=3000 go run ./docs/receivers
package main

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const rounds = 600_000 // of PBKDF2; use what your login uses

type account struct {
	ID            string   `json:"id"`
	Login         string   `json:"login"`
	Email         string   `json:"email"`
	Name          string   `json:"name"`
	Locale        string   `json:"locale"`
	PasswordHash  string   `json:"password_hash"`
	ResetID       string   `json:"reset_id"`       // webhook-id of the last change applied
	ResetSequence int64    `json:"reset_sequence"` // its sequence
	Sessions      []string `json:"sessions"`
}

type message struct {
	Type string `json:"type"`
	Data struct {
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

type receiver struct {
	secrets [][]byte // during a rotation the new and the old one
	file    string
	mu      sync.Mutex
}

func main() {
	rc := &receiver{file: cmp.Or(os.Getenv("RECEIVER_DATA"), "accounts.json")}
	for _, s := range strings.Fields(os.Getenv("RESET_WEBHOOK_SECRET")) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || len(key) < 24 {
			log.Fatal("RESET_WEBHOOK_SECRET is not whsec_ and base64 of at least 24 bytes")
		}
		rc.secrets = append(rc.secrets, key)
	}
	if len(rc.secrets) == 0 {
		log.Fatal("RESET_WEBHOOK_SECRET is not set")
	}
	if _, err := os.Stat(rc.file); errors.Is(err, fs.ErrNotExist) {
		alice := account{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice", Locale: "en"}
		if err := rc.write([]account{alice}); err != nil {
			log.Fatal(err)
		}
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/lookup", rc.verified("account.lookup", rc.lookup))
	mux.HandleFunc("POST /hooks/password-changed", rc.verified("password.changed", rc.change))
	l, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(server.Serve(l))
}

// verified lets a message through if its signature, its age and its type are
// right. The signature is over the raw body, so that is read first.
func (rc *receiver) verified(want string, next func(http.ResponseWriter, string, message)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 20_000))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if !rc.signed(r.Header, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var m message
		err = json.Unmarshal(body, &m)
		switch {
		case err == nil && m.Type == "ping": // somebody checks the set-up
			w.WriteHeader(http.StatusNoContent)
		case err == nil && m.Type == want:
			next(w, r.Header.Get("webhook-id"), m)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}
}

func (rc *receiver) signed(h http.Header, body []byte) bool {
	id, timestamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	for _, secret := range rc.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, signature := range strings.Split(h.Get("webhook-signature"), " ") {
			if hmac.Equal([]byte(signature), []byte(expected)) { // in constant time
				return true
			}
		}
	}
	return false
}

func (rc *receiver) lookup(w http.ResponseWriter, _ string, m message) {
	rc.mu.Lock()
	accounts, err := rc.read()
	rc.mu.Unlock()
	if err != nil {
		fail(w, err)
		return
	}
	found := []map[string]string{} // an empty list, not null
	for _, a := range accounts {
		login := lower(m.Data.Login)
		if (lower(a.Login) == login || lower(a.Email) == login) && len(found) < 5 {
			found = append(found, map[string]string{"id": a.ID, "login": a.Login, "email": a.Email, "name": a.Name, "locale": a.Locale})
		}
	}
	answer(w, http.StatusOK, "application/json", map[string]any{"accounts": found})
}

func (rc *receiver) change(w http.ResponseWriter, id string, m message) {
	rc.mu.Lock() // from here to the end of write: one transaction
	defer rc.mu.Unlock()
	accounts, err := rc.read()
	if err != nil {
		fail(w, err)
		return
	}
	var a *account
	for i := range accounts {
		if accounts[i].ID == m.Data.Account.ID {
			a = &accounts[i]
		}
	}
	password := m.Data.Password.Value
	switch {
	case a == nil:
		w.WriteHeader(http.StatusGone)
		return
	case a.ResetID == id: // applied before, but the answer was lost
		w.WriteHeader(http.StatusNoContent)
		return
	case m.Data.Sequence < a.ResetSequence: // a newer change was applied
		w.WriteHeader(http.StatusConflict)
		return
	case m.Data.Password.Format != "plain":
		w.WriteHeader(http.StatusBadRequest)
		return
	case strings.Contains(lower(password), lower(a.Login)): // the app's own rules
		answer(w, http.StatusUnprocessableEntity, "application/problem+json",
			map[string]string{"detail": "The password must not contain your user name."})
		return
	}
	if a.PasswordHash, err = hash(password); err != nil {
		fail(w, err)
		return
	}
	a.ResetID, a.ResetSequence = id, m.Data.Sequence
	a.Sessions = nil // whoever was logged in with the old password is no longer
	if err := rc.write(accounts); err != nil {
		fail(w, err)
		return
	}
	log.Printf("password changed: account %s, id %s", a.ID, id)
	w.WriteHeader(http.StatusNoContent)
}

func (rc *receiver) read() (accounts []account, err error) {
	data, err := os.ReadFile(rc.file)
	if err != nil {
		return nil, err
	}
	return accounts, json.Unmarshal(data, &accounts)
}

// write replaces the file as a whole, and returns when the disk has it.
func (rc *receiver) write(accounts []account) error {
	data, err := json.MarshalIndent(accounts, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(rc.file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), rc.file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(rc.file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func hash(password string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key, err := pbkdf2.Key(sha256.New, password, salt, rounds, 32)
	return fmt.Sprintf("pbkdf2-sha256$%d$%x$%x", rounds, salt, key), err
}

// lower folds ASCII letters only: with Unicode's folding, one person's login
// can match another's.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func answer(w http.ResponseWriter, status int, contentType string, value any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// fail answers what has the sender try again.
func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	w.WriteHeader(http.StatusInternalServerError)
}

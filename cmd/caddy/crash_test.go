package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

// What a crash at every step leaves is asked by TestTrialCrash. These hold how
// often exactly something comes where the peers decide the moment.

// Kill -9 between the relay's taking of a mail and the program's hearing of
// it. Nobody can know then; so the mail comes twice, and both links work.
func TestCrashBetweenMailAndReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	direct := w.Env["RESET_SMTP"]
	w.Env["RESET_SMTP"] = w.deaf(direct, func() bool { return len(w.Inbox.Mails()) > 0 })
	w.start()
	w.ask("alice")
	first := w.token(w.mail("alice@example.com", 1))
	w.kill()
	w.Env["RESET_SMTP"] = direct
	w.start()
	second := w.token(w.mail("alice@example.com", 2))
	w.opens(first)
	w.opens(second)
	w.stop()
	w.checkStore()
}

// Kill -9 while a change is in the hands of the app: before it was applied,
// and after it, when nobody has heard of it yet.
func TestCrashDuringTheDelivery(t *testing.T) {
	for _, tt := range []struct {
		name    string
		applied bool
	}{{"not applied yet", false}, {"applied", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			reached, crashed := make(chan struct{}), make(chan struct{})
			var first sync.Once
			w.employ([]demo.Account{{ID: "1001", Login: "alice", Email: "alice@example.com"}}, func(app http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					held := false
					if r.URL.Path == demo.ChangedPath {
						first.Do(func() { held = true })
					}
					if held && !tt.applied {
						close(reached)
						<-crashed
						return
					}
					app.ServeHTTP(rw, r)
					if held {
						close(reached)
						<-crashed
					}
				})
			})
			w.start()
			w.ask("alice")
			token := w.token(w.mail("alice@example.com", 1))
			var visitor sync.WaitGroup
			visitor.Go(func() {
				_, _ = w.try("POST", "/password-reset/new", `{"token":"`+token+`","password":"`+newPassword+`"}`) // the crash cuts it off
			})
			<-reached
			w.kill()
			close(crashed)
			visitor.Wait()
			w.start()
			w.changedOnce(token)
		})
	}
}

const newPassword = "a calm sea at night"

// changedOnce waits for the notice of alice's change, and holds that the app
// has applied it once, that the password is the new one and the link is dead.
// It stops the program.
func (w *world) changedOnce(token string) {
	w.t.Helper()
	w.until("the notice comes", func() bool { return w.notices() > 0 })
	ids := make(map[string]int)
	for _, d := range w.App.Deliveries() {
		if d.Type == "password.changed" {
			ids[d.ID]++
			if d.Status != http.StatusNoContent {
				w.t.Errorf("the app answered a delivery with %d", d.Status)
			}
		}
	}
	if len(ids) != 1 {
		w.t.Errorf("deliveries by id: %v", ids)
	}
	if r := w.do("POST", "/login", "login=alice&password="+strings.ReplaceAll(newPassword, " ", "+")); r.Status != http.StatusSeeOther {
		w.t.Errorf("logging in with the new password: %d", r.Status)
	}
	if r := w.do("GET", "/password-reset/link/"+token, ""); r.Status != http.StatusGone {
		w.t.Errorf("the link that was used is answered %d", r.Status)
	}
	w.stop()
	if got := w.notices(); got != 1 {
		w.t.Errorf("%d notices came", got)
	}
	w.checkStore()
}

// opens holds that a link works.
func (w *world) opens(token string) {
	w.t.Helper()
	if r := w.do("GET", "/password-reset/link/"+token, ""); r.Status != http.StatusOK {
		w.t.Errorf("the link is answered %d", r.Status)
	}
}

// notices counts the mails without a code.
func (w *world) notices() (n int) {
	for _, m := range w.Inbox.Mails() {
		if _, err := m.Code(); err != nil {
			n++
		}
	}
	return n
}

func (w *world) received(to string) (n int) {
	for _, m := range w.Inbox.Mails() {
		if m.To == to {
			n++
		}
	}
	return n
}

// checkStore reads the whole store of a program that does not run.
func (w *world) checkStore() {
	w.t.Helper()
	s, err := embeddedstore.Open(w.t.Context(), embeddedstore.Options{Path: filepath.Join(w.Home, storeDir, "reset.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}

// deaf returns the address of a way to the relay on which nothing comes back
// once from returns true.
func (w *world) deaf(relay string, from func() bool) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", relay)
			if err != nil {
				in.Close()
				return
			}
			go func() {
				defer out.Close()
				_, _ = io.Copy(out, in) // ends with the program
			}()
			go func() {
				defer in.Close()
				b := make([]byte, 4096)
				for {
					n, err := out.Read(b)
					if err != nil {
						return
					}
					if from() {
						continue
					}
					if _, err := in.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "localhost:" + port
}

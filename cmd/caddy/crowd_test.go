package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// A crowd is a world for tests that ask very often: accounts in a file, pages
// that Caddy itself answers, a log on disk, and a relay that keeps no mail.
type crowd struct {
	*world
	Relay *mailSink

	// Logins with an account and without. Nothing else tells them apart: they
	// are drawn from one urn.
	Known, Unknown []string
}

// A crowdPlan is what is different from one crowd to another.
type crowdPlan struct {
	accounts int    // as many logins have none
	global   string // options of the global block
	servers  string
	site     string // options of the site
	other    string // base URL of a second site, if any
}

func newCrowd(t *testing.T, r *rand.Rand, plan crowdPlan) *crowd {
	t.Helper()
	c := &crowd{world: newWorld(t), Relay: newMailSink(t)}
	var accounts strings.Builder
	accounts.WriteString("id,login,email\n")
	for i := range plan.accounts {
		login := newLogin(r)
		c.Known = append(c.Known, login)
		c.Unknown = append(c.Unknown, newLogin(r))
		fmt.Fprintf(&accounts, "%d,%s,%s@example.com\n", 1000+i, login, login)
	}
	c.write("accounts.csv", []byte(accounts.String()))
	after := ""
	if plan.other != "" {
		after = fmt.Sprintf("%s {\n%s\nrespond \"the other\"\n}", plan.other, c.block(plan.other, plan.site))
	}
	c.Caddyfile = c.write("Caddyfile", fmt.Appendf(nil, `{
	grace_period 5s
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
		%s
	}
	log {
		output file %s {
			roll_disabled
		}
	}
	password_reset {
		smtp %s
		%s
	}
}
%s {
	%s
	respond "the app"
}
%s
`, plan.servers, filepath.Join(c.Home, "log"), c.Relay.addr, plan.global, c.Site, c.block(c.Site, plan.site), after))
	return c
}

// block is a block of password_reset.
func (c *crowd) block(site, options string) string {
	return fmt.Sprintf(`password_reset {
		base_url %s
		login_url /login
		from support@example.com
		directory file %s
		target webhook http://%s/hooks/password-changed
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		%s
	}`, site, filepath.Join(c.Home, "accounts.csv"), c.Env["RESET_APP"], options)
}

// plant gives the crowd a program with these edits.
func (c *crowd) plant(edits ...edit) {
	c.t.Helper()
	c.Binary = filepath.Join(c.Home, "planted")
	if err := buildWith(c.Binary, c.t.TempDir(), edits...); err != nil {
		c.t.Fatal(err)
	}
}

// newLogin returns one of 2⁶⁰, all of one length.
func newLogin(r *rand.Rand) string { return fmt.Sprintf("u%015x", r.Uint64()>>4) }

// A mailSink is a relay that takes all mails and keeps none, but how many came
// to whom.
type mailSink struct {
	addr string
	down atomic.Bool // refuses mails for the time being

	mu  sync.Mutex
	got map[string]int
}

func newMailSink(t *testing.T) *mailSink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailSink{addr: l.Addr().String(), got: make(map[string]int)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: m}, nil }))
	server.Domain = "sink.example.com"
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		server.Close()
		l.Close() // also where the server had not begun
		<-served
	})
	return m
}

// to returns how many came to the account with this login.
func (m *mailSink) to(login string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[login+"@example.com"]
}

type sinkSession struct {
	sink *mailSink
	to   string
}

func (s *sinkSession) Mail(string, *smtp.MailOptions) error {
	if s.sink.down.Load() {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Down"}
	}
	return nil
}

func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.got[s.to]++
	return nil
}

func (s *sinkSession) Reset() {}

func (s *sinkSession) Logout() error { return nil }

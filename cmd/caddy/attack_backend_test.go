package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// backendHeader is on answers of the app.
const backendHeader = "X-Backend"

// A backend is the app behind the program, which notes all that reaches it.
type backend struct {
	app *demo.App

	// judge, if set before the program starts, may answer a hook in the place
	// of the app.
	judge func(w http.ResponseWriter, path string, t hookEvent) bool

	mu        sync.Mutex
	addresses map[string]bool // that the directory names
	visits    []string        // method and target of what is no hook
	events    []hookEvent
	refused   []string // hooks without a good signature
}

// A hookEvent is what one hook was told.
type hookEvent struct {
	Type string `json:"type"`
	Data struct {
		Login    string `json:"login"`
		Password struct {
			Value string `json:"value"`
		} `json:"password"`
		Account demo.Account `json:"account"`
	} `json:"data"`
}

func newBackend(app *demo.App, accounts []demo.Account) *backend {
	b := &backend{app: app, addresses: make(map[string]bool)}
	for _, a := range accounts {
		b.know(a.Email)
	}
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(backendHeader, "1")
	if !strings.HasPrefix(r.URL.Path, "/hooks/") {
		b.mu.Lock()
		b.visits = append(b.visits, r.Method+" "+r.RequestURI)
		b.mu.Unlock()
		b.app.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var h hookEvent
	if err := json.Unmarshal(body, &h); err != nil || strings.Contains(string(body), expanded) || strings.Contains(string(body), looted) {
		b.note(&b.refused, string(body))
	}
	b.mu.Lock()
	b.events = append(b.events, h)
	b.mu.Unlock()
	if b.judge != nil && b.judge(w, r.URL.Path, h) {
		return
	}
	rec := httptest.NewRecorder()
	b.app.ServeHTTP(rec, r)
	if rec.Code == http.StatusUnauthorized {
		b.note(&b.refused, r.RequestURI)
	}
	w.WriteHeader(rec.Code)
	_, _ = rec.Body.WriteTo(w)
}

func (b *backend) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

// seen returns method and target of all requests that are no hooks.
func (b *backend) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.visits)
}

// forged returns what came as a hook and was none.
func (b *backend) forged() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.refused)
}

// lookups returns the logins that the app was asked for.
func (b *backend) lookups() (logins []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.events {
		if h.Type == "account.lookup" {
			logins = append(logins, h.Data.Login)
		}
	}
	return logins
}

// passwords returns the new passwords of an account, oldest first.
func (b *backend) passwords(account string) (values []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.events {
		if h.Type == "password.changed" && h.Data.Account.ID == account {
			values = append(values, h.Data.Password.Value)
		}
	}
	return values
}

// serve serves on a port of loopback and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// An eavesdropper stands before a relay and keeps what the program says to it,
// byte by byte.
type eavesdropper struct {
	address string

	mu       sync.Mutex
	sessions []*logBuffer // what was said on each connection
}

func eavesdrop(t testing.TB, relay string) *eavesdropper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &eavesdropper{address: l.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { e.carry(in, relay) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return e
}

func (e *eavesdropper) carry(in net.Conn, relay string) {
	defer in.Close()
	out, err := net.Dial("tcp", relay)
	if err != nil {
		return
	}
	defer out.Close()
	said := new(logBuffer)
	e.mu.Lock()
	e.sessions = append(e.sessions, said)
	e.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(in, out)
		in.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(out, said), in)
	out.Close()
	<-done
}

// dialogues returns the commands and the messages of all connections.
func (e *eavesdropper) dialogues() (commands []string, messages [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, session := range e.sessions {
		rest := []byte(session.String())
		for len(rest) > 0 {
			line, after, _ := bytes.Cut(rest, []byte("\r\n"))
			commands, rest = append(commands, string(line)), after
			if string(line) == "DATA" {
				message, after, ended := bytes.Cut(rest, []byte("\r\n.\r\n"))
				if ended {
					messages = append(messages, append(message, "\r\n"...))
				}
				rest = after
			}
		}
	}
	return commands, messages
}

var (
	// cleanCommand is all that the program has to say (RFC 5321): one path, of
	// a dot-atom and a domain, and no parameter that somebody else chose.
	cleanCommand = regexp.MustCompile(`^(EHLO [A-Za-z0-9.:\[\]-]+|MAIL FROM:<support@example\.com>( BODY=8BITMIME| SMTPUTF8| SIZE=\d+)*|` +
		`RCPT TO:<([^\x00-\x20<>()\[\]\\,;:"@\x7f]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)>|DATA|RSET|NOOP|QUIT)$`)

	// cleanField is a header of ours.
	cleanField = regexp.MustCompile(`^(Date|From|To|Message-ID|Subject|Content-Language|Auto-Submitted|X-Auto-Response-Suppress|Mime-Version|Content-Type): `)
)

// check judges all that was said to the relay.
func (e *eavesdropper) check(s *siege) {
	s.t.Helper()
	commands, messages := e.dialogues()
	for _, line := range commands {
		found := cleanCommand.FindStringSubmatch(line)
		if found == nil {
			s.tr.Violation("the relay was told %q", line)
			continue
		}
		if to := found[3]; to != "" && !s.backend.returned(to) {
			s.tr.Violation("a mail went to %q, which the directory did not return", to)
		}
	}
	if len(messages) == 0 {
		s.t.Error("the test tests nothing: no mail was sent")
	}
	for _, m := range messages {
		checkMessage(s, m)
	}
}

// checkMessage judges one message as it was on the wire.
func checkMessage(s *siege, m []byte) {
	bad := func(what string) { s.tr.Violation("a mail %s:\n%q", what, m) }
	if lines := bytes.ReplaceAll(m, []byte("\r\n"), nil); bytes.ContainsAny(lines, "\r\n") {
		bad("has a bare CR or LF")
	}
	for _, secret := range []string{s.mark, expanded, looted, "evil.test"} {
		if bytes.Contains(m, []byte(secret)) {
			bad("holds " + secret)
		}
	}
	header, _, _ := bytes.Cut(m, []byte("\r\n\r\n"))
	fields := make(map[string]int)
	scan := bufio.NewScanner(bytes.NewReader(header))
	for scan.Scan() {
		line := scan.Text()
		if len(line) > 78 {
			bad("has a long line in its header")
		}
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			continue
		}
		name := cleanField.FindStringSubmatch(line)
		if name == nil {
			bad("has a field of somebody else's: " + line)
			continue
		}
		fields[name[1]]++
	}
	for name, n := range fields {
		if n != 1 {
			bad("has a field twice: " + name)
		}
	}
	for _, name := range []string{"Date", "From", "To", "Message-ID", "Subject", "Auto-Submitted", "Mime-Version", "Content-Type"} {
		if fields[name] == 0 {
			bad("lacks " + name)
		}
	}
	for line := range bytes.SplitSeq(m, []byte("\r\n")) {
		if len(line) > 998 {
			bad("has a line of more than 998 characters")
		}
		if bytes.HasPrefix(line, []byte("From: ")) && string(line) != `From: "Example Support" <support@example.com>` {
			bad("is from somebody else")
		}
	}
}

// returned tells whether the directory has named an address.
func (b *backend) returned(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addresses[address]
}

// know adds an address that the directory names, as it stands in an envelope.
func (b *backend) know(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addresses[address] = true
}

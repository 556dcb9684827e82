package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A reply is what came back on a connection that carried one request.
type reply struct {
	Status int
	Header http.Header
	Body   string
	Raw    []byte // every byte that came in
	Port   string // our end of the connection
	Began  time.Time
}

// do sends one request on a connection of its own, byte by byte as given, so
// that no client library tidies it up. A body is a form, or JSON if it begins
// with a brace; headers, given as pairs, come last and may say otherwise.
func (w *world) do(method, target, body string, header ...string) reply {
	w.t.Helper()
	r, err := w.try(method, target, body, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

// errUnanswered says that a connection ended before a byte of the answer came.
var errUnanswered = errors.New("no answer")

// try is do for requests that may stay without an answer.
func (w *world) try(method, target, body string, header ...string) (reply, error) {
	host := strings.TrimPrefix(w.Site, "http://")
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, host)
	fields := map[string]string{"Content-Length": fmt.Sprint(len(body))}
	switch {
	case strings.HasPrefix(body, "{"):
		fields["Content-Type"] = "application/json"
	case body != "":
		fields["Content-Type"] = "application/x-www-form-urlencoded"
	}
	for i := 0; i < len(header); i += 2 {
		fields[header[i]] = header[i+1]
	}
	for name, value := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	b.WriteString("\r\n" + body)
	return w.send(method, b.String())
}

// send sends a request as it stands on a connection of its own, which the
// request must ask to close.
func (w *world) send(method, request string) (reply, error) {
	began := time.Now()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.Site, "http://"))
	if errors.Is(err, syscall.ECONNRESET) {
		err = fmt.Errorf("%w: %w", errUnanswered, err)
	}
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, request) // an answer may come before all was read
	raw, err := io.ReadAll(c)
	if len(raw) == 0 {
		return reply{}, fmt.Errorf("%w: %w", errUnanswered, cmp.Or(err, io.EOF))
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: method})
	if err != nil {
		return reply{}, fmt.Errorf("reading answer of %d bytes: %w", len(raw), err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return reply{Status: resp.StatusCode, Header: resp.Header, Body: string(content), Raw: raw, Port: port, Began: began}, err
}

// ask asks for a mail and expects that it is accepted.
func (w *world) ask(login string, header ...string) reply {
	w.t.Helper()
	r := w.do("POST", "/password-reset", `{"login":"`+login+`"}`, header...)
	if r.Status != http.StatusAccepted {
		w.t.Fatalf("asking was answered %d: %s", r.Status, r.Body)
	}
	return r
}

// token returns the token of the link in a mail.
func (w *world) token(m demo.Mail) string {
	w.t.Helper()
	link, err := m.Link(w.Site + "/password-reset")
	if err != nil {
		w.t.Fatal(err)
	}
	return link[strings.LastIndexByte(link, '/')+1:]
}

// employ gives the world another app, with these accounts. wrap, if any, comes
// before it. It must be called before start.
func (w *world) employ(accounts []demo.Account, wrap func(http.Handler) http.Handler) {
	w.t.Helper()
	app, err := demo.NewApp(demo.Options{Secret: w.Secret, Accounts: accounts, BcryptCost: bcrypt.MinCost})
	if err != nil {
		w.t.Fatal(err)
	}
	var h http.Handler = app
	if wrap != nil {
		h = wrap(h)
	}
	server := httptest.NewServer(h)
	w.t.Cleanup(server.Close)
	w.App = app
	w.Env["RESET_APP"] = strings.TrimPrefix(server.URL, "http://")
}

// people returns n accounts: person-0 with the address person-0@example.com,
// and so on.
func people(n int) []demo.Account {
	accounts := make([]demo.Account, n)
	for i := range accounts {
		login := fmt.Sprintf("person-%d", i)
		accounts[i] = demo.Account{ID: fmt.Sprint(2000 + i), Login: login, Email: login + "@example.com", Name: "Person"}
	}
	return accounts
}

// from returns the headers that make a request look as if it came from another
// visitor, by way of a proxy that the example trusts: each has limits of their
// own. The addresses are reserved ones, as the example takes private ones for
// further proxies.
func from(n int) []string {
	return []string{"X-Forwarded-For", fmt.Sprintf("240.%d.%d.%d", n>>16&255, n>>8&255, n&255)}
}

// strangers are visitors of whom each comes once, so that none meets a limit by
// address.
type strangers struct{ n atomic.Int64 }

// visitor returns the headers of the next one.
func (s *strangers) visitor() []string { return from(int(s.n.Add(1))) }

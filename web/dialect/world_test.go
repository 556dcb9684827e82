package dialect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// What the fake site knows. Tokens have the form of ours: 64 characters of
// base64url.
const (
	origin       = "https://app.example.com" // of the base URL
	liveToken    = "live-T1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	claimedToken = "claimed_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	codeToken    = "code-T2_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	deadToken    = "dead-T3_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	liveCode     = "12345678"
	clientIP     = "192.0.2.7"
	minLength    = 8 // of a password
)

// A world is a site on a real HTTP server that speaks dialects.
type world struct {
	*fakeSite
	t       testing.TB
	server  *httptest.Server
	openErr error // of opening the site; may be set between requests
	log     lockedBuffer
}

// newWorld serves the dialects with the account of login cesare.
func newWorld(t testing.TB, dialects map[string]web.Dialect) *world {
	t.Helper()
	w := &world{t: t, fakeSite: &fakeSite{login: "cesare"}}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	h, err := web.New(web.Options{
		BaseURL: origin, Name: "Example", Dialects: dialects, Logger: log,
		Open: func(context.Context) (web.Site, func(), error) {
			if w.openErr != nil {
				return nil, nil, w.openErr
			}
			return w.fakeSite, func() {}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		route, ours := h.Route(r)
		if !ours {
			rw.Header().Set("X-Foreign", "yes")
			return
		}
		h.ServeHTTP(rw, r, route, ipOf(clientIP))
		log.Info("request", route.LogAttrs()...)
	}))
	t.Cleanup(w.server.Close)
	return w
}

// An answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	foreign bool // the request is not for us: an app behind would answer
}

// do sends a request byte for byte: the target as it is, and header lines in
// their spelling, such as "requestToken: x". A body gets its length.
func (w *world) do(method, target string, header []string, body string) answer {
	w.t.Helper()
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nConnection: close\r\n", method, target)
	host := "Host: app.example.com\r\n"
	for _, line := range header {
		if strings.HasPrefix(line, "Host:") {
			host = ""
		}
		raw.WriteString(line + "\r\n")
	}
	raw.WriteString(host)
	if body != "" || method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(body))
	}
	raw.WriteString("\r\n" + body)
	return w.send(method, raw.String())
}

// send sends a whole request as it stands there.
func (w *world) send(method, raw string) answer {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	// A request may be answered before all of it is read.
	go func() { _, _ = io.WriteString(conn, raw) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%.200q: %v", raw, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%.200q: %v", raw, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(got), foreign: resp.Header.Get("X-Foreign") != ""}
}

// An expected is a whole answer: status, body, and each header that the
// contract names. A header with the value "" is absent.
type expected struct {
	status int
	header map[string]string
	body   string
}

// compare compares whole answers, and looks for what every answer has.
func compare(t *testing.T, got answer, want expected) {
	t.Helper()
	if got.foreign {
		t.Fatal("the request is passed on to the app")
	}
	named := make(map[string]string)
	for name := range want.header {
		named[name] = strings.Join(got.header.Values(name), "\n")
		if named[name] == "" && got.header[http.CanonicalHeaderKey(name)] != nil {
			named[name] = "(empty)"
		}
	}
	if want.header == nil {
		want.header = named
	}
	if diff := cmp.Diff(want, expected{got.status, named, got.body}, cmp.AllowUnexported(expected{})); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	checkCommon(t, got)
}

// checkCommon looks for what every answer has.
func checkCommon(t *testing.T, got answer) {
	t.Helper()
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin",
	} {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
		}
	}
	if got.header.Get("Content-Security-Policy") == "" {
		t.Error("no Content-Security-Policy")
	}
	for _, name := range []string{"Access-Control-Allow-Credentials", "Set-Cookie", "Location"} {
		if got.header.Get(name) != "" {
			t.Errorf("%s: %s", name, got.header.Get(name))
		}
	}
}

// same fails unless two answers are equal in every byte but the date.
func same(t *testing.T, a, b answer) {
	t.Helper()
	a.header.Del("Date")
	b.header.Del("Date")
	if diff := cmp.Diff(a, b, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("answers differ:\n%s", diff)
	}
}

// logins returns what resets were asked for, in order.
func (w *world) logins() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, r := range w.requests {
		all = append(all, r.Login)
	}
	return all
}

// asked returns the calls of the domain, in order.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

func ipOf(s string) netip.Addr { return netip.MustParseAddr(s) }

func sameIP(a, b netip.Addr) bool { return a == b }

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// neverOpen is for sites that serve no request.
func neverOpen(context.Context) (web.Site, func(), error) { return nil, nil, errDisk }

var errDisk = errors.New("disk is full, says /var/lib/secret")

var _ web.Site = (*fakeSite)(nil)

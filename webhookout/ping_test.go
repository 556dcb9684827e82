package webhookout_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

const site = "app.example.com"

// A receiver answers a message by whether it was signed with our secret.
type receiver func(w http.ResponseWriter, ours bool)

func (answer receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	secret, parsed := webhookout.ParseSecret(testSecret)
	if err != nil || parsed != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	answer(w, webhookout.Verify([]webhookout.Secret{secret}, r.Header, body, time.Now()) == nil)
}

// with answers ours and strange messages with a status each, and a page where
// there can be one.
func with(ours, strange int, page string) receiver {
	return func(w http.ResponseWriter, signed bool) {
		status := strange
		if signed {
			status = ours
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, page) // of a 204 nothing is sent
	}
}

const page = "<!DOCTYPE html>s3cret alice@example.com"

func TestPing(t *testing.T) {
	ahead := func(by time.Duration, next receiver) receiver {
		return func(w http.ResponseWriter, ours bool) {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			next(w, ours)
		}
	}
	timeless := func(w http.ResponseWriter, ours bool) {
		w.Header()["Date"] = nil
		with(204, 401, "")(w, ours)
	}
	type want struct {
		step          string
		broken        bool
		problem, cure string
	}
	fine := func(steps ...string) (w []want) {
		for _, s := range steps {
			w = append(w, want{step: s})
		}
		return w
	}
	reached := fine("reach", "clock")
	knowsNone := append(fine("reach", "clock"), want{"hook", false, "knows no ping", "204"}, want{step: "signature"})
	untold := append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", false, "could not be told", "401"})
	for _, tt := range []struct {
		name string
		app  receiver
		want []want
	}{
		{"right", with(204, 401, ""), fine("reach", "clock", "hook", "signature")},
		{"right, with JSON", with(200, 403, "{}"), fine("reach", "clock", "hook", "signature")},
		{"right, with 400 for forgery", with(204, 400, ""), fine("reach", "clock", "hook", "signature")},
		{"no Date", timeless, fine("reach", "hook", "signature")},
		{"checks nothing", with(204, 204, ""), append(fine("reach", "clock", "hook"), want{"signature", true, "somebody else has signed (answer 204)", "check webhook-signature"})},
		{"takes strange ones only", with(401, 200, "{}"), append(fine("reach", "clock"), want{"hook", true, "refuses our signature", "webhook_secret"}, want{"signature", true, "somebody else", "check webhook-signature"})},
		{"another secret", with(401, 401, ""), append(reached, want{"hook", true, "refuses our signature (answer 401)", "the same secret"})},
		{"forbidden", with(403, 403, page), append(reached, want{"hook", true, "forbids our message (answer 403)", "cross-site"})},
		{"wrong path", with(404, 404, page), append(reached, want{"hook", true, "no hook at this URL (answer 404)", "host and path"})},
		{"wrong method", with(405, 405, page), append(reached, want{"hook", true, "no hook at this URL (answer 405)", "POST"})},
		{"redirect", with(301, 301, page), append(reached, want{"hook", true, "redirects (answer 301)", "https://"})},
		{"front controller", with(200, 200, page), append(reached, want{"hook", true, "answers everything", "catch-all"})},
		{"fails", with(500, 500, page), append(reached, want{"hook", true, "the app fails (answer 500)", "the app's log"})},
		{"proxy without an app", with(502, 502, page), append(reached, want{"hook", true, "the app fails (answer 502)", "proxy"})},
		{"down behind a check", with(503, 401, page), append(reached, want{"hook", true, "the app fails (answer 503)", "the app's log"})},
		{"too many", with(429, 429, ""), append(reached, want{"hook", true, "for now (answer 429)", "limit of requests"})},
		{"old, 400", with(400, 401, "{}"), knowsNone},
		{"old, 422", with(422, 401, "{}"), knowsNone},
		{"old, 404 for a type", with(404, 401, ""), knowsNone},
		{"old, gone", with(410, 401, ""), knowsNone},
		{"old, stumbles", with(500, 401, page), knowsNone},
		{"old, 400 for forgery", with(422, 400, ""), knowsNone},
		{"old, limits the second", with(400, 429, ""), append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", false, "could not be told (answer 429)", "later"})},
		{"400 for all", with(400, 400, ""), untold},
		{"422 for all", with(422, 422, ""), untold},
		{"old, takes strange ones", with(400, 204, ""), append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", true, "somebody else", "check"})},
		{"stumbles over forgery", with(204, 500, page), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 500)", "401"})},
		{"page for forgery", with(204, 200, page), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 200)", "401"})},
		{"limits the second", with(204, 429, ""), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 429)", "later"})},
		{"clock behind", ahead(-2*time.Minute, with(204, 401, "")), append(append(fine("reach"), want{"clock", false, "behind ours", "NTP"}), fine("hook", "signature")...)},
		{"clock far ahead", ahead(time.Hour, with(401, 401, "")), append(fine("reach"), want{"clock", true, "ahead of ours, and from 5 minutes", "NTP"}, want{"hook", true, "refuses our signature", "secret"})},
		{"clock of a proxy", ahead(time.Hour, with(204, 401, "")), append(append(fine("reach"), want{"clock", false, "ahead of ours", "NTP"}), fine("hook", "signature")...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.app)
			t.Cleanup(server.Close)
			found := newClient(t, webhookout.Options{URL: server.URL + "/hook?s3cret"}).Ping(t.Context(), site)
			for i, f := range found {
				if len(found) != len(tt.want) {
					break
				}
				w := tt.want[i]
				if f.Step != w.step || f.Broken != w.broken || !strings.Contains(f.Problem, w.problem) || !strings.Contains(f.Cure, w.cure) ||
					(f.Problem == "") != (w.problem == "") || (f.Cure == "") != (w.cure == "") {
					t.Errorf("%+v\nwant %+v", f, w)
				}
				if text := f.Seen + f.Problem + f.Cure; strings.Contains(text, "s3cret") || strings.Contains(text, "alice") {
					t.Errorf("it quotes the app or the query: %+v", f)
				}
			}
			if len(found) != len(tt.want) {
				t.Errorf("%+v\nwant %+v", found, tt.want)
			}
		})
	}
}

// TestPingOnTheWire holds what the app gets: two messages with ids of their
// own, the first signed by all of our secrets and the second by none.
func TestPingOnTheWire(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	var signed []bool
	ids := make(map[string]bool)
	ours := []webhookout.Secret{mustSecret(t, testSecret), mustSecret(t, "whsec_"+strings.Repeat("QUJD", 10))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		ok := 0
		for _, s := range ours {
			if webhookout.Verify([]webhookout.Secret{s}, r.Header, body, time.Now()) == nil {
				ok++
			}
		}
		bodies, signed = append(bodies, string(body)), append(signed, ok == len(ours))
		ids[r.Header.Get("webhook-id")] = true
		if ok == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: server.URL, Secrets: ours}), Site: site}
	for _, f := range target.Ping(t.Context()) {
		if f.Problem != "" {
			t.Errorf("%+v", f)
		}
	}
	if diff := cmp.Diff([]bool{true, false}, signed); diff != "" || len(ids) != 2 {
		t.Errorf("%v, %d ids", diff, len(ids))
	}
	for _, body := range bodies {
		var m struct {
			Type      string
			Timestamp time.Time
			Data      map[string]string
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil || m.Type != "ping" || time.Since(m.Timestamp).Abs() > time.Minute || !cmp.Equal(m.Data, map[string]string{"site": site}) {
			t.Errorf("%v: %s", err, body)
		}
	}
}

// TestPingUnreached holds that each reason why no answer comes is told apart.
func TestPingUnreached(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	text := serve(t, func(c net.Conn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, "220 smtp ready\r\n")
	})
	silent := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	mute := serve(t, func(c net.Conn) { _, _ = bufio.NewReader(c).ReadString('\n') })
	socket := filepath.Join(t.TempDir(), "none.sock")
	abandoned := filepath.Join(t.TempDir(), "abandoned.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: abandoned})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, tt := range []struct {
		name          string
		o             webhookout.Options
		problem, cure string
	}{
		{"refused", webhookout.Options{URL: "http://" + closed.Addr().String()}, "nothing listens at " + closed.Addr().String(), "start the app"},
		{"no socket", webhookout.Options{URL: "unix/" + socket + ":/hook"}, "there is no socket " + socket, "behind unix/"},
		{"abandoned socket", webhookout.Options{URL: "unix/" + abandoned + ":/hook"}, "nothing listens at " + abandoned, "start the app"},
		{"not HTTP", webhookout.Options{URL: "http://" + text}, "no valid HTTP answer", "https://"},
		{"no TLS", webhookout.Options{URL: "https://" + text}, "does not speak TLS at " + text, "http://"},
		{"closes", webhookout.Options{URL: "http://" + mute}, "closed without an answer", "the app's log"},
		{"hangs", webhookout.Options{URL: "http://" + silent, Timeout: 50 * time.Millisecond}, "no answer from " + silent + " within 50ms", "`timeout`"},
		{"hangs in the handshake", webhookout.Options{URL: "https://" + silent, Timeout: 50 * time.Millisecond}, "no answer from " + silent, "firewall"},
	} {
		found := newClient(t, tt.o).Ping(t.Context(), site)
		if len(found) != 1 || found[0].Step != "reach" || !found[0].Broken || !strings.Contains(found[0].Problem, tt.problem) || !strings.Contains(found[0].Cure, tt.cure) {
			t.Errorf("%s: %+v", tt.name, found)
		}
	}

	server := httptest.NewUnstartedServer(with(204, 401, ""))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	found := newClient(t, webhookout.Options{URL: strings.Replace(server.URL, "https", "http", 1)}).Ping(t.Context(), site)
	if f := found[len(found)-2]; f.Step != "hook" || !strings.Contains(f.Cure, "if the port speaks TLS, write https://") {
		t.Errorf("HTTP to a port of HTTPS: %+v", found)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	busy := newClient(t, webhookout.Options{URL: "http://" + silent, Connections: 1, Timeout: time.Minute})
	taken := make(chan struct{})
	hold, release := context.WithCancel(t.Context())
	go func() { defer close(taken); busy.Post(hold, message) }()
	for found = nil; len(found) == 0 || !strings.Contains(found[0].Problem, "busy"); found = busy.Ping(ctx, site) {
		if t.Context().Err() != nil {
			t.Fatal("the one connection was never busy")
		}
	}
	release()
	<-taken
}

// TestPingNames holds what is said of a name that leads nowhere, or where clear
// text must not go.
func TestPingNames(t *testing.T) {
	answer := fakeDNS(t)
	answer.Store(netip.MustParseAddr("203.0.113.7"))
	for _, tt := range []struct {
		name, url     string
		insecure      bool
		problem, cure string
	}{
		{"public", "http://app.test/hook", true, "neither private nor link-local", "write the URL of the hook with https://"},
		{"localhost elsewhere", "http://app.localhost/hook", false, "is another machine", "write the URL of the hook with https://, or `insecure_http` in its block if it is on a private network that you trust"},
	} {
		found := newClient(t, webhookout.Options{URL: tt.url, InsecureHTTP: tt.insecure}).Ping(t.Context(), site)
		if len(found) != 1 || !found[0].Broken || !strings.Contains(found[0].Problem, tt.problem) || found[0].Cure != tt.cure {
			t.Errorf("%s: %+v", tt.name, found)
		}
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, net.ErrClosed
	}}
	found := newClient(t, webhookout.Options{URL: "https://app.test/hook"}).Ping(t.Context(), site)
	if len(found) != 1 || !strings.Contains(found[0].Problem, "app.test could not be looked up") || !strings.Contains(found[0].Cure, "/etc/resolv.conf") {
		t.Errorf("no resolver: %+v", found)
	}
}

// TestPingFaults holds what is said of faults that no machine has on demand:
// the tests may run as root, and which of two time-outs is first is chance.
func TestPingFaults(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", err)}
	}
	c := newClient(t, webhookout.Options{URL: "unix//run/app.sock:/hook"})
	for err, want := range map[error]struct{ problem, cure string }{
		dial(syscall.EACCES):       {"may not use the socket /run/app.sock", "Caddy's user"},
		dial(syscall.EHOSTUNREACH): {"cannot be reached", "firewall"},
		dial(syscall.ENETUNREACH):  {"cannot be reached", "firewall"},
		dial(syscall.ETIMEDOUT):    {"no answer from /run/app.sock within 5s", "`timeout`"},
		new(handshakeTimeout):      {"no answer from /run/app.sock within 5s", "`timeout`"},
	} {
		problem, cure := c.Unreached(err)
		if !strings.Contains(problem, want.problem) || !strings.Contains(cure, want.cure) {
			t.Errorf("%v: %q, %q", err, problem, cure)
		}
	}
}

// A handshakeTimeout is net/http's, which is no net.OpError.
type handshakeTimeout struct{}

func (*handshakeTimeout) Error() string   { return "net/http: TLS handshake timeout" }
func (*handshakeTimeout) Timeout() bool   { return true }
func (*handshakeTimeout) Temporary() bool { return true }

// TestPingCertificates holds that each fault of a certificate is told apart.
func TestPingCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "Test CA"},
	}
	sign := func(parent *x509.Certificate, edit func(*x509.Certificate)) []byte {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			Subject: pkix.Name{CommonName: "app"},
		}
		edit(c)
		if parent == nil {
			parent = c
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	der := sign(nil, func(c *x509.Certificate) { *c = *authority })
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if authority, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	stranger := *authority
	stranger.RawSubject, stranger.Subject.CommonName = nil, "Another CA"
	for _, tt := range []struct {
		name          string
		parent        *x509.Certificate
		edit          func(*x509.Certificate)
		ca            string
		problem, cure string
	}{
		{"unknown to trusted_ca", &stranger, func(*x509.Certificate) {}, ca, "none of the authorities in `trusted_ca`", "take `trusted_ca` away"},
		{"unknown to the system", authority, func(*x509.Certificate) {}, "", "an authority that this machine does not know", "write `trusted_ca FILE`"},
		{"signed by itself", nil, func(*x509.Certificate) {}, ca, "signed by itself", "write `trusted_ca FILE`"},
		{"another name", authority, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a\x1bs3cret", "app.test"} }, ca, "is for app.test, not for 127.0.0.1", "a name that it is for"},
		{"no name", authority, func(c *x509.Certificate) { c.IPAddresses = nil }, ca, "for no host", "give the app one"},
		{"expired", authority, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, ca, "has expired on", "renew it"},
		{"not yet valid", authority, func(c *x509.Certificate) { c.NotBefore = now.Add(30 * time.Minute) }, ca, "not valid before", "the clock of this machine"},
		{"for clients", authority, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, ca, "not fit", "another certificate"},
	} {
		server := httptest.NewUnstartedServer(with(204, 401, ""))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{sign(tt.parent, tt.edit)}, PrivateKey: key}}}
		server.StartTLS()
		found := newClient(t, webhookout.Options{URL: server.URL, TrustedCA: tt.ca}).Ping(t.Context(), site)
		server.Close()
		if len(found) != 1 || found[0].Step != "reach" || !found[0].Broken || !strings.Contains(found[0].Problem, tt.problem) || !strings.Contains(found[0].Cure, tt.cure) {
			t.Errorf("%s: %+v", tt.name, found)
		}
	}
}

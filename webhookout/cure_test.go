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
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

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
		problem, cure := c.Diagnose(err)
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

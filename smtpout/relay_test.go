package smtpout_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

const (
	user   = "reset@example.com"
	secret = "correct horse battery staple"
	body   = "Subject: x\r\n\r\nhttps://app.example.com/link/SECRETTOKEN\r\n.\r\n..dots\r\n"
)

func message() reset.Message {
	return reset.Message{From: "support@example.com", To: "alice@example.org", Data: []byte(body)}
}

// An authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, file}
}

// issue returns a server configuration with a certificate for 127.0.0.1.
func (a *authority) issue(t testing.TB, edit func(*x509.Certificate)) *tls.Config {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if edit != nil {
		edit(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// A relay is a real SMTP server that remembers what it got, and every byte
// that crossed the wire towards it.
type relay struct {
	address string
	hold    chan struct{} // if not nil, DATA waits for it
	login   func(mechanism, user, secret string) error

	mu       sync.Mutex
	wire     bytes.Buffer
	accepted int
	open     int
	most     int
	hellos   []string
	mails    []mailed
	conns    []net.Conn
}

type mailed struct {
	from, to string
	utf8     bool
	data     string
}

type relayOptions struct {
	tls        *tls.Config
	implicit   bool
	mechanisms []string
	edit       func(*smtp.Server)
}

func newRelay(t testing.TB, o relayOptions) *relay {
	t.Helper()
	r := &relay{login: func(_, u, s string) error {
		if u != user || s != secret {
			return smtp.ErrAuthFailed
		}
		return nil
	}}
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hellos = append(r.hellos, c.Hostname())
		return &relaySession{relay: r, mechanisms: o.mechanisms}, nil
	}))
	srv.Domain = "relay.test"
	srv.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLSConfig = o.tls
	if o.edit != nil {
		o.edit(srv)
	}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = raw.Addr().String()
	var l net.Listener = &tap{raw, r}
	if o.implicit {
		l = tls.NewListener(l, o.tls)
	}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	// A server that was closed before it began to serve would go on: so its
	// listener is closed, too.
	t.Cleanup(func() { srv.Close(); raw.Close(); <-done })
	return r
}

func (r *relay) got() []mailed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]mailed(nil), r.mails...)
}

// sent returns the bytes that crossed the wire towards the relay.
func (r *relay) sent() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wire.String()
}

func (r *relay) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.hellos...)
}

func (r *relay) connections() (accepted, open, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted, r.open, r.most
}

// cut closes all connections from the relay's side.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
}

type tap struct {
	net.Listener
	relay *relay
}

func (l *tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	l.relay.accepted++
	l.relay.open++
	l.relay.most = max(l.relay.most, l.relay.open)
	l.relay.conns = append(l.relay.conns, c)
	return &tapped{Conn: c, relay: l.relay}, nil
}

type tapped struct {
	net.Conn
	relay *relay
	once  sync.Once
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.relay.mu.Lock()
	defer c.relay.mu.Unlock()
	c.relay.wire.Write(p[:n])
	return n, err
}

func (c *tapped) Close() error {
	c.once.Do(func() {
		c.relay.mu.Lock()
		defer c.relay.mu.Unlock()
		c.relay.open--
	})
	return c.Conn.Close()
}

type relaySession struct {
	relay      *relay
	mechanisms []string
	mail       mailed
}

func (s *relaySession) AuthMechanisms() []string { return s.mechanisms }

func (s *relaySession) Auth(mechanism string) (sasl.Server, error) {
	check := func(u, p string) error { return s.relay.login(mechanism, u, p) }
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, u, p string) error { return check(u, p) }), nil
	case "LOGIN":
		return &dialogue{questions: []string{"User Name\x00", "Pass phrase?"}, judge: func(a []string) error { return check(a[0], a[1]) }}, nil
	case "OAUTHBEARER":
		return sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if check(o.Username, o.Token) != nil {
				return &sasl.OAuthBearerError{Status: "401 " + o.Token}
			}
			return nil
		}), nil
	case "XOAUTH2":
		return &xoauth2Server{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *relaySession) Mail(from string, o *smtp.MailOptions) error {
	s.mail = mailed{from: from, utf8: o.UTF8}
	return nil
}

func (s *relaySession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "unknown") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + "> no such user"}
	}
	s.mail.to = to
	return nil
}

func (s *relaySession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.data = string(b)
	s.relay.mu.Lock()
	s.relay.mails = append(s.relay.mails, s.mail)
	s.relay.mu.Unlock()
	if s.relay.hold != nil {
		<-s.relay.hold
	}
	return nil
}

func (s *relaySession) Reset()        {}
func (s *relaySession) Logout() error { return nil }

// A dialogue asks and judges the answers.
type dialogue struct {
	questions, answers []string
	judge              func([]string) error
}

func (d *dialogue) Next(answer []byte) ([]byte, bool, error) {
	if answer != nil {
		d.answers = append(d.answers, string(answer))
	}
	if len(d.answers) == len(d.questions) {
		return nil, true, d.judge(d.answers)
	}
	return []byte(d.questions[len(d.answers)]), false, nil
}

type xoauth2Server struct {
	check func(u, p string) error
	err   error
}

func (x *xoauth2Server) Next(answer []byte) ([]byte, bool, error) {
	if x.err != nil {
		return nil, true, x.err
	}
	fields := strings.Split(string(answer), "\x01")
	if len(fields) != 4 || fields[2] != "" || fields[3] != "" {
		return nil, true, errors.New("malformed")
	}
	x.err = x.check(strings.TrimPrefix(fields[0], "user="), strings.TrimPrefix(fields[1], "auth=Bearer "))
	if x.err != nil {
		return []byte(`{"status":"401"}`), false, nil
	}
	return nil, true, nil
}

func newClient(t testing.TB, o smtpout.Options) *smtpout.Client {
	t.Helper()
	c, err := smtpout.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// until waits for a condition of a real peer.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

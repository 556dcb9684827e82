package caddymodule_test

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
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"golang.org/x/net/dns/dnsmessage"
)

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
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der := a.sign(t, a.cert)
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = pemFile(t, "CERTIFICATE", der)
	return a
}

func (a *authority) sign(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue returns a server configuration with a certificate for 127.0.0.1 and
// shop.internal, which lasts for 40 days.
func (a *authority) issue(t testing.TB, edit func(*x509.Certificate)) *tls.Config {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(40*24*time.Hour + time.Minute),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.internal"},
	}
	if edit != nil {
		edit(c)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, c)}, PrivateKey: a.key}}}
}

func pemFile(t testing.TB, kind string, der []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.pem")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pem.Encode(f, &pem.Block{Type: kind, Bytes: der}); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(f.Name())
}

// A relay is a real mail server that takes mails of the user reset.
type relay struct {
	tls        *tls.Config
	implicit   bool
	mechanisms []string // PLAIN, if there is TLS
	mail, rcpt error    // what sender and recipient are refused with

	mu    sync.Mutex
	mails []string
}

func (r *relay) serve(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if r.mechanisms == nil && r.tls != nil {
		r.mechanisms = []string{sasl.Plain}
	}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return relaySession{r}, nil }))
	s.TLSConfig, s.ErrorLog = r.tls, log.New(io.Discard, "", 0)
	if r.implicit {
		l = tls.NewListener(l, r.tls)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
	return address
}

func (r *relay) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.mails...)
}

// errRefused quotes an address, as relays do.
var errRefused = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<canary-of-mail@corner.internal> canary-of-query"}

type relaySession struct{ relay *relay }

func (s relaySession) AuthMechanisms() []string { return s.relay.mechanisms }

func (s relaySession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "reset" || password != smtpSecret {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s relaySession) Mail(string, *smtp.MailOptions) error { return s.relay.mail }
func (s relaySession) Rcpt(string, *smtp.RcptOptions) error { return s.relay.rcpt }
func (s relaySession) Reset()                               {}
func (s relaySession) Logout() error                        { return nil }

func (s relaySession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.relay.mails = append(s.relay.mails, string(text))
	return err
}

// says starts a server that says a line to each that it hears, beginning with a
// greeting, and then nothing more until the client goes. Without a line it is a
// tarpit; with "" it hangs up.
func says(t testing.TB, lines ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for i, line := range lines {
					if i > 0 {
						if _, err := in.ReadString('\n'); err != nil {
							return
						}
					}
					if line == "" {
						return
					}
					if _, err := io.WriteString(c, line+"\r\n"); err != nil {
						return
					}
				}
				_, _ = io.Copy(io.Discard, in)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// A zone is what the DNS knows. Nothing of a test asks the real one.
type zone map[string]dnsmessage.ResourceBody

// goodZone is one in which nothing is to be said of mails from corner.internal.
func goodZone() zone {
	return zone{
		"corner.internal. TypeMX":                &dnsmessage.MXResource{MX: dnsmessage.MustNewName("mx.corner.internal.")},
		"corner.internal. TypeTXT":               &dnsmessage.TXTResource{TXT: []string{"v=spf1 mx -all"}},
		"_dmarc.corner.internal. TypeTXT":        &dnsmessage.TXTResource{TXT: []string{"v=DMARC1; p=reject"}},
		"s1._domainkey.corner.internal. TypeTXT": &dnsmessage.TXTResource{TXT: []string{"v=DKIM1; p=MIGf"}},
		"shop.internal. TypeA":                   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
	}
}

// resolver is the one of the standard library with a zone in the place of the
// world.
func (z zone) resolver(t testing.TB) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe() // no packets, so as over TCP
		go z.answer(t, far)
		return near, nil
	}}
}

func (z zone) answer(t testing.TB, c net.Conn) {
	defer c.Close()
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	var m dnsmessage.Message
	if err != nil || n < 2 || m.Unpack(buf[2:n]) != nil {
		return
	}
	q := m.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: m.Questions}
	if body, ok := z[q.Name.String()+" "+q.Type.String()]; ok {
		reply.RCode = dnsmessage.RCodeSuccess
		reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: body}}
	}
	packed, err := reply.AppendPack([]byte{0, 0})
	if err != nil {
		t.Error(err)
		return
	}
	packed[0], packed[1] = byte((len(packed)-2)>>8), byte(len(packed)-2)
	_, _ = c.Write(packed)
}

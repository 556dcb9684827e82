package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// The tests of this package run the real program as a process of its own, with
// Caddyfile.example, before the demo app and with real SMTP.

// A world is the demo app, its inbox and the running program.
type world struct {
	t     testing.TB
	App   *demo.App
	Inbox *demo.Inbox
	Home  string // everything that the program writes is below it

	Site      string // base URL
	Secret    string // webhook secret
	SMTPUser  string
	SMTPPass  string
	Caddyfile string
	Env       map[string]string // on top of what is always set
	Wrap      []string          // a command that runs the program, such as strace
	Binary    string

	process *exec.Cmd
	exited  chan struct{}
	log     *logBuffer
}

// newWorld prepares a world; start runs the program in it.
func newWorld(t testing.TB) *world {
	t.Helper()
	home, err := os.MkdirTemp("", "reset-world-") // short: socket paths end at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	w := &world{
		t: t, Home: home, Site: "http://" + freeAddress(t), Secret: "whsec_" + secret(), SMTPUser: "reset@example.com",
		SMTPPass: secret(), Caddyfile: filepath.Join("..", "..", "Caddyfile.example"), Env: map[string]string{}, log: new(logBuffer),
	}
	if w.App, err = demo.NewApp(demo.Options{Secret: w.Secret, BcryptCost: bcrypt.MinCost}); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(w.App)
	t.Cleanup(app.Close)
	certificate := w.certificate()
	w.Inbox, err = demo.NewInbox(demo.InboxOptions{
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, User: w.SMTPUser, Password: w.SMTPPass,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Inbox.Close() })
	_, port, _ := net.SplitHostPort(w.Inbox.Addr())
	w.Env["RESET_SITE"] = w.Site
	w.Env["RESET_BASE_URL"] = w.Site
	w.Env["RESET_APP"] = strings.TrimPrefix(app.URL, "http://")
	// A name and not an address: towards an address on loopback TLS is not the
	// default.
	w.Env["RESET_SMTP"] = "localhost:" + port
	w.Env["RESET_SMTP_USER"] = w.SMTPUser
	w.Env["RESET_SMTP_PASSWORD"] = w.SMTPPass
	w.Env["RESET_WEBHOOK_SECRET"] = w.Secret
	return w
}

// environment returns what the program runs with: its own folders, the test's
// certificate authority as the one the machine trusts, and nothing of ours.
func (w *world) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.Home, "XDG_DATA_HOME=" + w.Home, "XDG_CONFIG_HOME=" + w.Home,
		"CADDY_ADMIN=unix/" + filepath.Join(w.Home, "admin.sock"),
		"SSL_CERT_FILE=" + filepath.Join(w.Home, "ca.pem"), "SSL_CERT_DIR=" + filepath.Join(w.Home, "no-more"),
	}
	for k, v := range w.Env {
		env = append(env, k+"="+v)
	}
	return env
}

// start runs the program and waits until it answers. It may be called again
// after stop or kill, in the same folders.
func (w *world) start() {
	w.t.Helper()
	w.launch()
	exited := w.exited
	w.until("the program answers", func() bool {
		select {
		case <-exited:
			w.t.Fatalf("the program ended:\n%s", w.log)
		default:
		}
		r, err := http.Get(w.Site + "/password-reset")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// launch runs the program and does not wait for it.
func (w *world) launch() {
	w.t.Helper()
	if w.Binary == "" {
		w.Binary = binary(w.t)
	}
	args := append(append([]string(nil), w.Wrap...), w.Binary, "run", "--config", w.Caddyfile, "--adapter", "caddyfile")
	w.process = exec.Command(args[0], args[1:]...)
	w.process.Env = w.environment()
	w.process.Stdout, w.process.Stderr = w.log, w.log
	w.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	exited := make(chan struct{})
	w.exited = exited
	process := w.process
	go func() {
		process.Wait()
		close(exited)
	}()
	w.t.Cleanup(func() {
		syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
		<-exited
		if w.process != process {
			return // the log is one for all runs
		}
		for _, bad := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if strings.Contains(w.log.String(), bad) {
				w.t.Errorf("%s in the program", bad)
			}
		}
		if w.t.Failed() {
			w.t.Logf("log of the program:\n%s", w.log)
		}
	})
}

// stop ends the program as an operator does and waits for it.
func (w *world) stop() { w.end(syscall.SIGTERM) }

// kill ends it as a crash does.
func (w *world) kill() { w.end(syscall.SIGKILL) }

func (w *world) end(s syscall.Signal) {
	w.t.Helper()
	syscall.Kill(-w.process.Process.Pid, s)
	select {
	case <-w.exited:
	case <-time.After(30 * time.Second):
		w.t.Fatal("the program does not stop")
	}
}

// until waits for a condition of real peers.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for !done() {
		select {
		case <-tick.C:
		case <-timeout:
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// untilNone waits until nothing is left of what is counted, as long as it gets
// less: on a busy machine much takes more than its minute.
func (w *world) untilNone(what string, left func() int) {
	w.t.Helper()
	for n := left(); n > 0; {
		w.until("there is less of "+what, func() bool {
			before := n
			n = left()
			return n < before
		})
	}
}

// mail waits for the n-th mail to an address, counted from 1.
func (w *world) mail(to string, n int) demo.Mail {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	m, err := w.Inbox.Wait(ctx, to, n)
	if err != nil {
		w.t.Fatalf("waiting for mail %d to %s: %v", n, to, err)
	}
	return m
}

// certificate makes one for the inbox that the program is made to trust.
func (w *world) certificate() tls.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write puts a file into the world's folder and returns its path.
func (w *world) write(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.Home, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// freeAddress returns one that nobody else is given during the test. A socket
// that is bound and does not listen keeps it from those that ask for any port,
// and lets a program listen there: else a world whose program is down would find
// that of another in its place.
func freeAddress(t testing.TB) string {
	t.Helper()
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}

func secret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// logBuffer collects what the program writes, or says to a peer.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

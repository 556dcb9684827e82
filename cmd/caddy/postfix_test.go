package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// postfixMain is a main.cf: the folder of the instance, the world's, the
// address of the next relay, and what is told before TLS.
const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = /dev/stdout
myhostname = relay.example.com
inet_protocols = ipv4
mydestination =
alias_maps =
relayhost = %[3]s
smtp_tls_security_level = none
smtpd_peername_lookup = no
smtpd_tls_chain_files = %[2]s/ca.key, %[2]s/ca.pem
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = %[1]s/etc/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
mynetworks =
%[4]s`

const postfixMaster = `%s inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const postfixSASL = `pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: %s/data/sasldb2
mech_list: PLAIN LOGIN
`

// What a relay tells those who have not begun TLS.
const (
	// submission is a relay as it should be (RFC 8314).
	submission = "smtpd_tls_security_level = encrypt\nsmtpd_tls_auth_only = yes\n"
	// careless is one that would take a password in clear.
	careless = "smtpd_tls_security_level = may\nsmtpd_tls_auth_only = no\n"
)

// The mail goes through a relay as it stands at providers: STARTTLS, then a
// login, then a queue of its own.
func TestPostfixRelaysTheWholeJourney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	relay := startPostfix(w, submission)
	w.start()
	var steps bytes.Buffer
	if err := demo.Drive(t.Context(), demo.DriveOptions{BaseURL: w.Site, Mailbox: w.Inbox, Out: &steps}); err != nil {
		t.Fatalf("%v\nafter\n%s", err, &steps)
	}
	for _, m := range w.Inbox.Mails() {
		if !strings.Contains(m.Header.Get("Received"), "with ESMTPSA") {
			t.Errorf("mail %d came in without TLS or login: %s", m.Number, m.Header.Get("Received"))
		}
		if m.From != "support@example.com" {
			t.Errorf("mail %d has the sender %s", m.Number, m.From)
		}
	}
	relay.check(1)
	w.stop()
}

// A relay refuses our login: whoever has asked gets a mail once the operator
// has mended the password.
func TestPostfixRefusesTheLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	relay := startPostfix(w, careless)
	wrong := secret()
	w.Env["RESET_SMTP_PASSWORD"] = wrong
	w.start()
	for _, login := range []string{"alice", "bob"} {
		newVisitor(t, w.Site).ask(login)
	}
	const alarm = `"msg":"mail cannot be sent until a setting is mended; it stays queued"`
	w.until("an alarm in the log", func() bool {
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, alarm) && strings.Contains(line, `"level":"error"`) &&
				strings.Contains(line, `"error":"smtp: AUTH: answer 535 5.7.8"`) && strings.Contains(line, `"alarm":true`) {
				return true
			}
		}
		return false
	})
	// The site goes on, and so do those who ask.
	newVisitor(t, w.Site).ask("carol")
	w.stop()
	if n := len(w.Inbox.Mails()); n != 0 {
		t.Fatalf("%d mails came in without a login", n)
	}
	if !strings.Contains(relay.log.String(), "SASL PLAIN authentication failed") {
		t.Error("the relay knows of no refused login")
	}
	relay.check(1)

	w.Env["RESET_SMTP_PASSWORD"] = w.SMTPPass
	w.start()
	for _, login := range []string{"alice", "bob", "carol"} {
		newVisitor(t, w.Site).open(w.mail(login+"@example.com", 1))
	}
	w.stop()
	relay.check(2)
	if n := len(w.Inbox.Mails()); n != 3 {
		t.Errorf("%d mails for 3 people", n)
	}
	for _, password := range []string{w.SMTPPass, wrong} {
		if strings.Contains(w.log.String(), password) {
			t.Error("the log has a password of the relay")
		}
	}
}

// A postfix is an own instance of Debian's, and a wire to it on which all that
// the program says can be looked at.
type postfix struct {
	t    testing.TB
	dir  string // with its settings, queue and accounts
	log  *logBuffer
	wire net.Listener
	to   string

	mu   sync.Mutex
	said []*logBuffer // by the program, for each connection
}

// startPostfix starts one that passes mail on to a new inbox of the world, and
// makes it the relay of the program.
func startPostfix(w *world, beforeTLS string) *postfix {
	w.t.Helper()
	program := need(w.t, "postfix", "postfix")
	saslpasswd := need(w.t, "saslpasswd2", "sasl2-bin")
	if os.Getuid() != 0 {
		lacks(w.t, "only root can start Postfix")
	}
	var err error
	if w.Inbox, err = demo.NewInbox(demo.InboxOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.Inbox.Close() })
	_, next, _ := net.SplitHostPort(w.Inbox.Addr())

	// Postfix drops root: a folder of its own, which it may pass through.
	dir, err := os.MkdirTemp("", "reset-postfix-")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{t: w.t, dir: dir, log: new(logBuffer), to: freeAddress(w.t)}
	for _, folder := range []string{"etc/sasl", "queue", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"main.cf":         fmt.Sprintf(postfixMain, dir, w.Home, "[127.0.0.1]:"+next, beforeTLS),
		"master.cf":       fmt.Sprintf(postfixMaster, p.to),
		"sasl/smtpd.conf": fmt.Sprintf(postfixSASL, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(content), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	name, realm, _ := strings.Cut(w.SMTPUser, "@")
	add := exec.CommandContext(w.t.Context(), saslpasswd, "-p", "-c", "-f", filepath.Join(dir, "data", "sasldb2"), "-u", realm, name)
	add.Stdin = strings.NewReader(w.SMTPPass)
	if out, err := add.CombinedOutput(); err != nil {
		w.t.Fatalf("adding a user of the relay: %v\n%s", err, out)
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		w.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	for _, path := range []string{"data", "data/sasldb2"} {
		if err := os.Chown(filepath.Join(dir, path), uid, -1); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	p.run(program)
	w.until("Postfix answers", p.answers)
	p.listen()
	_, port, _ := net.SplitHostPort(p.wire.Addr().String())
	w.Env["RESET_SMTP"] = "localhost:" + port
	return p
}

// run starts the instance and has it stopped with the test.
func (p *postfix) run(program string) {
	p.t.Helper()
	// Postfix leaves our process group and would outlive us: the shell stops it
	// when its input ends, which it does however this process ends.
	const script = `"$1" -c "$2" start-fg & read -r _; "$1" -c "$2" abort; wait`
	shell := exec.Command("sh", "-c", script, "sh", program, filepath.Join(p.dir, "etc"))
	shell.Stdout, shell.Stderr = p.log, p.log
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := shell.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		shell.Wait()
		close(ended)
	}()
	p.t.Cleanup(func() {
		input.Close()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			p.t.Error("Postfix does not stop")
			syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
		}
		if p.t.Failed() {
			p.t.Logf("log of Postfix:\n%s", p.log)
		}
	})
}

func (p *postfix) answers() bool {
	c, err := net.Dial("tcp", p.to)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	greeting := make([]byte, 4)
	_, err = io.ReadFull(c, greeting)
	fmt.Fprint(c, "QUIT\r\n")
	return err == nil && string(greeting) == "220 "
}

// listen opens the wire.
func (p *postfix) listen() {
	p.t.Helper()
	var err error
	if p.wire, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		p.t.Fatal(err)
	}
	var open sync.WaitGroup
	p.t.Cleanup(open.Wait)
	p.t.Cleanup(func() { p.wire.Close() })
	open.Go(func() {
		for {
			c, err := p.wire.Accept()
			if err != nil {
				return
			}
			said := new(logBuffer)
			p.mu.Lock()
			p.said = append(p.said, said)
			p.mu.Unlock()
			open.Go(func() { p.pass(c, said) })
		}
	})
}

// pass carries one connection until either side closes it.
func (p *postfix) pass(c net.Conn, said io.Writer) {
	defer c.Close()
	relay, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer relay.Close()
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() {
		io.Copy(c, relay)
		c.Close()
	})
	io.Copy(relay, io.TeeReader(c, said))
	relay.Close()
}

// check holds that nothing but the way into TLS was ever said in clear, over
// at least so many connections.
func (p *postfix) check(connections int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) < connections {
		p.t.Fatalf("%d connections to the relay instead of %d", len(p.said), connections)
	}
	for _, said := range p.said {
		clear, sealed, found := strings.Cut(said.String(), "STARTTLS\r\n")
		if !found || !strings.HasPrefix(sealed, "\x16\x03") { // a handshake, RFC 8446 section 5.1
			p.t.Error("a connection without TLS")
		}
		if strings.Count(clear, "\r\n") != 1 || !strings.HasPrefix(clear, "EHLO ") {
			p.t.Errorf("said in clear: %q", clear)
		}
	}
}

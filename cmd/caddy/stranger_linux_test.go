package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message/mail"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// What a stranger does who has the manual and nothing else: the blocks of its
// pages, in this order.
var strangersWay = []string{
	"install.md build", "install.md user", "install.md secrets", "install.md settings", "install.md alone",
	"mail.md certificate", "mail.md relay", "mail.md login",
	"install.md validate", "install.md service", "install.md app",
}

// afterwards are blocks that are tried once all is up.
var afterwards = []string{"install.md ask", "keys-and-backups.md backup", "keys-and-backups.md rotate", "keys-and-backups.md rotated", "keys-and-backups.md credentials"}

var manualBlock = regexp.MustCompile("(?m)^<!-- stranger: ([a-z-]+) -->\n```sh\n((?s:.*?))^```$")

// manual returns the blocks of the manual that are marked for a stranger, by
// page and name.
func manual(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/operators/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := make(map[string]string)
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := manualBlock.FindAllStringSubmatch(string(content), -1)
		if marks := strings.Count(string(content), "<!-- stranger:"); marks != len(found) {
			t.Errorf("%s: %d marks and %d blocks below one", page, marks, len(found))
		}
		for _, b := range found {
			name := filepath.Base(page) + " " + b[1]
			if _, twice := blocks[name]; twice {
				t.Errorf("two blocks are %s", name)
			}
			blocks[name] = b[2]
			if !slices.Contains(slices.Concat(strangersWay, afterwards), name) {
				t.Errorf("nobody tries the block %s", name)
			}
		}
	}
	for _, name := range slices.Concat(strangersWay, afterwards) {
		if blocks[name] == "" {
			t.Fatalf("the manual has no block %s", name)
		}
	}
	return blocks
}

// A stranger with only the manual sets up a service under systemd, with
// Postfix as its relay, and somebody resets their password there.
func TestStranger(t *testing.T) {
	t.Parallel()
	blocks := manual(t)
	need(t, "postfix", "postfix")
	need(t, "saslpasswd2", "sasl2-bin")
	need(t, "openssl", "openssl")
	need(t, "curl", "curl")
	m := newMachine(t, "postfix.service", "postfix@.service")
	// Debian's generator says that there is one instance.
	m.run("mkdir /etc/systemd/system/postfix.service.wants && ln -s " + filepath.Join(m.dir, "units/postfix@.service") + " /etc/systemd/system/postfix.service.wants/postfix@-.service && systemctl daemon-reload")
	m.run("useradd --create-home alice")
	for _, name := range strangersWay {
		if out, err := m.try(blocks[name]); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, blocks[name], out)
		}
	}
	roots := x509.NewCertPool()
	const root = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
	m.until("Caddy has made its certificate authority", func() bool {
		pem, _ := os.ReadFile(m.path(root))
		return roots.AppendCertsFromPEM(pem)
	})
	const site = "https://app.example.com"
	v := newVisitor(t, site)
	v.client.Transport = m.browser(&tls.Config{RootCAs: roots})
	t.Cleanup(v.client.CloseIdleConnections)
	m.until("Caddy has its certificate", func() bool { return m.serves(v) })

	// The journey.
	out := m.run("export CURL_CA_BUNDLE=" + root + "\n" + blocks["install.md ask"])
	if !strings.Contains(out, `{"status":"accepted","reference":"`) {
		t.Errorf("asking from a shell: %s", out)
	}
	token := v.open(m.mail("alice", 1))

	// The copy of each night, with a link on its way.
	m.run(blocks["keys-and-backups.md backup"] + "/etc/cron.daily/caddy-password-reset")
	if out := m.run("stat -c '%a %U' /var/backups/reset-*.db"); out != "600 root\n" {
		t.Errorf("the copy of a night: %s", out)
	}

	// The operator changes the secret while a link is on its way, and the same
	// process goes on; the app has the new one only.
	before := m.run("systemctl show -p MainPID caddy-password-reset")
	m.run(blocks["keys-and-backups.md rotate"])
	m.run("systemctl stop receiver\n" + blocks["install.md app"])
	m.run(blocks["keys-and-backups.md rotated"])
	if after := m.run("systemctl show -p MainPID caddy-password-reset"); after != before {
		t.Errorf("the reload was a restart: %s, then %s", before, after)
	}

	const password = "granite lantern opera 58"
	v.expect("what the app refuses", v.choose(token, password+" alice"), http.StatusUnprocessableEntity, surface+"/new", "user name")
	v.expect("choosing a password", v.choose(token, password), http.StatusOK, surface+"/done", "")
	if notice := m.mail("alice", 2); !strings.Contains(notice.Header.Get("Received"), "ESMTPSA") {
		t.Errorf("the notice came in without TLS or a login: %s", notice.Header.Get("Received"))
	}
	if accounts := m.read("/var/lib/receiver/accounts.json"); !strings.Contains(accounts, `"password_hash": "pbkdf2-sha256$`) {
		t.Errorf("the app has no new password: %s", accounts)
	}

	// Both hooks are closed to whoever has another secret, and to the world.
	v.expect("the hooks from outside", v.post("/hooks/password-changed", nil), http.StatusNotFound, "", "")
	if out, err := m.try("curl -sS -o /dev/null -w '%{http_code}' -d '{}' http://127.0.0.1:3000/hooks/password-changed"); err != nil || out != "401" {
		t.Errorf("an unsigned change: %s %v", out, err)
	}
	if out := m.run("stat -c '%a %U' /var/lib/caddy/.local/share/caddy/password_reset/*"); out != strings.Repeat("600 caddy\n", 3) {
		t.Errorf("store, generation and key are not where the manual says, or others may use them:\n%s", out)
	}
	if out, err := m.try("runuser -u alice -- curl -sS --unix-socket /run/caddy/admin.sock http://localhost/config/"); err == nil {
		t.Errorf("another user reaches the admin API: %s", out)
	}

	// What the manual says of the service.
	if out, err := m.try("sed -i s/login_url/login_nonsense/ /etc/caddy/Caddyfile; systemctl reload caddy-password-reset"); err == nil {
		t.Errorf("a broken Caddyfile is loaded: %s", out)
	}
	v.expect("after a reload that failed", v.get(surface), http.StatusOK, surface, `name="login"`)
	m.run("sed -i s/login_nonsense/login_url/ /etc/caddy/Caddyfile")
	m.run(blocks["keys-and-backups.md credentials"])
	m.until("Caddy serves with secrets that only root may read", func() bool { return m.serves(v) })
	if out, err := m.try("runuser -u caddy -- cat /etc/caddy/secrets/webhook"); err == nil {
		t.Errorf("the user of the service reads a file of root: %s", out)
	}
	m.run("systemctl kill -s KILL caddy-password-reset")
	m.until("Caddy is started again", func() bool { return m.serves(v) })
	m.run("systemctl stop caddy-password-reset")
	if out := m.run("systemctl show -p Result -p ExecMainStatus caddy-password-reset"); out != "Result=success\nExecMainStatus=0\n" {
		t.Errorf("stopping the service: %s", out)
	}
	// Caddy says that it is ready before it ends for a secret that is none.
	m.run("echo nothing > /etc/caddy/secrets/webhook; systemctl start caddy-password-reset")
	const failed = "Result=exit-code\nExecMainStatus=1\nActiveState=failed\n"
	m.until("the service ends, and is not started again", func() bool {
		return m.run("systemctl show -p Result -p ExecMainStatus -p ActiveState caddy-password-reset") == failed
	})
	if out, err := m.try("sed -i s/login_url/login_nonsense/ /etc/caddy/Caddyfile; systemctl start caddy-password-reset"); err == nil {
		t.Errorf("the service starts with a broken Caddyfile: %s", out)
	}
}

// serves reports whether a visitor gets our form.
func (m *machine) serves(v *visitor) bool {
	v.client.CloseIdleConnections()
	r, err := v.client.Get(v.site + surface)
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// mail waits for the n-th mail in the mailbox of a user, counted from 1.
func (m *machine) mail(user string, n int) (found demo.Mail) {
	m.t.Helper()
	m.until(fmt.Sprintf("mail %d to %s", n, user), func() bool {
		b, _ := os.ReadFile(m.path("/var/mail/" + user))
		mails := regexp.MustCompile(`(?m)^From .*\n`).Split(string(b), -1)
		if len(mails) <= n || !strings.HasSuffix(string(b), "\n\n") {
			return false
		}
		r, err := mail.CreateReader(strings.NewReader(mails[n]))
		if err != nil {
			m.t.Fatal(err)
		}
		found = demo.Mail{Header: r.Header, Raw: []byte(mails[n])}
		for {
			part, err := r.NextPart()
			if err == io.EOF {
				return true
			}
			if err != nil {
				m.t.Fatal(err)
			}
			body, err := io.ReadAll(part.Body)
			if err != nil {
				m.t.Fatal(err)
			}
			if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
				found.Text = string(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
			}
		}
	})
	return found
}

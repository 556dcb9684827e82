package demo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const base = "https://app.example.com/password-reset"

// letter is a mail as this project writes them: both parts, quoted-printable.
func letter(to, text, html string) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf(`From: "Example Support" <support@example.com>
To: <%s>
Subject: =?utf-8?q?Dein_Passwort_f=C3=BCr_Example?=
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

%s
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

%s
--b--
`, to, strings.ReplaceAll(text, "=", "=3D"), strings.ReplaceAll(html, "=", "=3D")), "\n", "\r\n"))
}

func startInbox(t *testing.T, o demo.InboxOptions) *demo.Inbox {
	t.Helper()
	inbox, err := demo.NewInbox(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := inbox.Close(); err != nil {
			t.Error(err)
		}
	})
	return inbox
}

func deliver(inbox *demo.Inbox, to string, data []byte) error {
	return smtp.SendMail(inbox.Addr(), nil, "bounce@example.com", []string{to}, data)
}

func TestInbox(t *testing.T) {
	inbox := startInbox(t, demo.InboxOptions{})
	link, cancel := base+"/link/Ab_c-9", base+"/cancel/Zz_z-0"
	text := "Hello Ällice,\n\n" + link + "\n\n1234 5678\n\nCall 0800 1234 5678.\n\n" + cancel + "\n"
	html := `<p>Hello Ällice</p><a href="` + link + `">here</a> <a href="` + cancel + `">no</a>`
	if err := deliver(inbox, "alice@example.com", letter("alice@example.com", text, html)); err != nil {
		t.Fatal(err)
	}
	m, err := inbox.Wait(t.Context(), "Alice@example.com", 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.From != "bounce@example.com" || m.To != "alice@example.com" || m.Subject != "Dein Passwort für Example" || m.Number != 1 {
		t.Errorf("%q %q %q %d", m.From, m.To, m.Subject, m.Number)
	}
	if strings.TrimSpace(m.Text) != strings.TrimSpace(text) || strings.TrimSpace(m.HTML) != html {
		t.Errorf("text %q\nhtml %q", m.Text, m.HTML)
	}
	for what, c := range map[string]struct {
		find func() (string, error)
		want string
	}{
		"link":   {func() (string, error) { return m.Link(base) }, link},
		"cancel": {func() (string, error) { return m.CancelLink(base) }, cancel},
		"code":   {m.Code, "12345678"},
	} {
		if got, err := c.find(); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if _, err := m.Link("https://elsewhere.example.com"); err == nil {
		t.Error("a link of another site")
	}
}

func TestMailWithoutSecrets(t *testing.T) {
	inbox := startInbox(t, demo.InboxOptions{})
	link := base + "/link/Abc"
	if err := deliver(inbox, "alice@example.com", letter("alice@example.com", link+"\nAt 1234 5678", `<a href="`+link+`x">here</a>`)); err != nil {
		t.Fatal(err)
	}
	m, err := inbox.Wait(t.Context(), "alice@example.com", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Link(base); err == nil {
		t.Errorf("link %q, though the parts differ", got)
	}
	if got, err := m.Code(); err == nil {
		t.Errorf("code %q", got)
	}
	if got, err := m.CancelLink(base); err == nil {
		t.Errorf("cancel link %q", got)
	}
}

func TestWaitCountsPerAddress(t *testing.T) {
	inbox := startInbox(t, demo.InboxOptions{})
	found := make(chan string)
	go func() {
		m, err := inbox.Wait(t.Context(), "alice@example.com", 2)
		found <- fmt.Sprint(strings.TrimSpace(m.Text), err)
	}()
	for _, c := range [][2]string{{"alice@example.com", "one"}, {"bob@example.com", "two"}, {"alice@example.com", "three"}} {
		if err := deliver(inbox, c[0], letter(c[0], c[1], c[1])); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-found; got != "three<nil>" {
		t.Errorf("got %q", got)
	}
	if got := len(inbox.Mails()); got != 3 {
		t.Errorf("%d mails", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inbox.Wait(ctx, "bob@example.com", 2); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestInboxRefuses(t *testing.T) {
	inbox := startInbox(t, demo.InboxOptions{})
	wantCode := func(err error, want int) {
		t.Helper()
		var e *textproto.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("got %v, want %d", err, want)
		}
	}
	wantCode(deliver(inbox, "alice@elsewhere.test", letter("x", "x", "x")), 550)
	wantCode(deliver(inbox, "alice@example.com", []byte(strings.Repeat("Subject: x\r\n\r\nmore of it ", 60_000))), 552)
	inbox.SetDown(true)
	wantCode(deliver(inbox, "alice@example.com", letter("x", "x", "x")), 451)
	inbox.SetDown(false)
	if err := deliver(inbox, "alice@EXAMPLE.com", letter("x", "x", "x")); err != nil {
		t.Error(err)
	}
}

func TestInboxWithTLSAndLogin(t *testing.T) {
	// The certificate that net/http/httptest makes.
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	trusted := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	inbox := startInbox(t, demo.InboxOptions{TLS: &tls.Config{Certificates: web.TLS.Certificates}, User: "reset", Password: "hunter2hunter2"})

	dial := func() *smtp.Client {
		t.Helper()
		conn, err := net.DialTimeout("tcp", inbox.Addr(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		c, err := smtp.NewClient(conn, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.StartTLS(&tls.Config{RootCAs: trusted, ServerName: "example.com"}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := dial().Mail("bounce@example.com"); err == nil {
		t.Error("a mail without a login")
	}
	if err := dial().Auth(smtp.PlainAuth("", "reset", "wrong", "example.com")); err == nil {
		t.Error("a login with a wrong password")
	}
	c := dial()
	if err := c.Auth(smtp.PlainAuth("", "reset", "hunter2hunter2", "example.com")); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("bounce@example.com"); err != nil {
		t.Error(err)
	}
}

func TestInboxPages(t *testing.T) {
	inbox := startInbox(t, demo.InboxOptions{})
	server := httptest.NewServer(inbox)
	defer server.Close()
	if _, body := read(t, http.DefaultClient, server.URL); !strings.Contains(body, "No mail yet") {
		t.Error("the empty inbox says nothing")
	}
	text := `<script>alert(1)</script> https://app.example.com/?a=1&b="2 <https://b.example.com/x>`
	if err := deliver(inbox, "alice@example.com", letter("alice@example.com", text, `<p title="x">Hi & <script>alert(1)</script></p>`)); err != nil {
		t.Fatal(err)
	}
	if _, body := read(t, http.DefaultClient, server.URL); !strings.Contains(body, "Dein Passwort für Example") || !strings.Contains(body, `http-equiv="refresh"`) {
		t.Errorf("list: %s", body)
	}
	status, body := read(t, http.DefaultClient, server.URL+"/mails/1")
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		`&lt;script&gt;alert(1)&lt;/script&gt; <a href="https://app.example.com/?a=1&amp;b="`,
		`&lt;<a href="https://b.example.com/x" target="_blank" rel="noreferrer noopener">`,
		`sandbox="allow-popups allow-popups-to-escape-sandbox"`,
		`srcdoc="&lt;base target=&#34;_blank&#34;&gt;&lt;p title=&#34;x&#34;&gt;Hi &amp; &lt;script`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "<script") {
		t.Error("a script in the page")
	}
	if _, raw := read(t, http.DefaultClient, server.URL+"/mails/1/raw"); !strings.Contains(raw, "quoted-printable") {
		t.Error("no source")
	}
	for _, path := range []string{"/mails/0", "/mails/2", "/mails/x", "/mails/2/raw", "/other"} {
		if status, _ := read(t, http.DefaultClient, server.URL+path); status != 404 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

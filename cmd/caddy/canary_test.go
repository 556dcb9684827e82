package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// Nothing that is secret, and nobody's name or address, stands in clear in
// what the program writes or shows to an operator, however talkative it was
// made, whatever visitors send and whatever fails.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCanaries(w)
	var app ailingHooks
	w.employ([]demo.Account{
		{ID: "1001", Login: c.login, Email: c.address, Name: c.name},
		{ID: "1002", Login: "bob", Email: "bob@example.com"},
	}, app.wrap)
	w.talkative()
	w.start()

	// All is well.
	if r := w.do("GET", "/login", ""); r.Status != http.StatusOK {
		t.Errorf("the app's own page is answered %d", r.Status)
	}
	w.ask(c.login)
	token, cancel, code := c.mailed()
	c.attack(token)
	c.attack("canaryCanaryCanaryCanaryCanaryCanaryCanaryCanaryCanaryCanary0000") // of no grant
	second := w.do("POST", "/password-reset/code", `{"login":"`+c.login+`","code":"`+code+`"}`)
	if second.Status != http.StatusOK {
		t.Fatalf("the code was answered %d: %s", second.Status, second.Body)
	}
	c.add("token for a code", strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(second.Body), `{"token":"`), `"}`))

	// The app is down; then it refuses with words that hold the password, falls
	// over, and takes the change.
	w.App.SetDown(true)
	w.ask(c.address)
	c.attack(token)
	c.logged("the app answered 503")
	w.App.SetDown(false)
	app.set(http.StatusUnprocessableEntity, `{"detail":"`+c.password+` is what `+c.login+` had"}`)
	c.change(token, http.StatusUnprocessableEntity)
	app.set(http.StatusInternalServerError, c.password+c.login+c.address)
	c.change(token, http.StatusAccepted)
	c.logged("the app answered 500")
	app.set(0, "")
	c.logged("password changed")

	// The relay refuses for the time being.
	w.Inbox.SetDown(true)
	w.ask(c.address)
	c.logged("answer 451")
	w.Inbox.SetDown(false)

	// "This wasn't me."
	c.attack(cancel)
	if r := w.do("GET", "/password-reset/cancel/"+cancel, ""); r.Status != http.StatusGone {
		t.Errorf("the cancel link of a used grant is answered %d", r.Status)
	}

	w.ask("bob")
	bob := w.mail("bob@example.com", 1)
	link, err := bob.CancelLink(w.Site + surface)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.do("POST", strings.TrimPrefix(link, w.Site), "{}"); r.Status != http.StatusOK {
		t.Errorf("cancelling is answered %d", r.Status)
	}
	c.attack(w.token(bob))

	// Configurations that do not load: their secrets are not repeated.
	good := w.caddyfile()
	for _, name := range []string{"RESET_KEY", "RESET_WEBHOOK_SECRET"} {
		broken := w.write("broken", []byte(strings.ReplaceAll(good, "env."+name, "env.BROKEN_"+name)))
		out, err := w.caddy("reload", "--force", "--config", broken, "--adapter", "caddyfile")
		if err == nil {
			t.Errorf("a broken %s was loaded", name)
		}
		c.search("answer to a reload", out)
	}
	for _, command := range []string{"validate", "adapt", "reload"} {
		out, err := w.caddy(command, "--config", w.Caddyfile, "--adapter", "caddyfile")
		if err != nil {
			t.Errorf("caddy %s: %v\n%s", command, err, out)
		}
		c.search("caddy "+command, out)
	}

	// What the admin API shows.
	for _, path := range []string{"/config/", "/metrics", "/reverse_proxy/upstreams"} {
		shown := w.admin(path)
		if len(shown) < 3 {
			t.Errorf("%s shows %q", path, shown)
		}
		c.search(path, shown)
	}

	c.searchFiles()

	// The store goes away under the program.
	store := filepath.Join(w.Home, storeDir, "reset.db")
	if err := os.Rename(store, store+".away"); err != nil {
		t.Fatal(err)
	}
	w.until("the store is missed", func() bool {
		return w.do("POST", "/password-reset", "login="+c.login).Status == http.StatusServiceUnavailable
	})
	c.attack(token)
	w.kill()
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}

	// The relay does not know us.
	w.Env["RESET_SMTP_PASSWORD"] = secret()
	c.add("wrong SMTP password", w.Env["RESET_SMTP_PASSWORD"])
	w.start()
	w.ask(c.login)
	c.logged("answer 535")
	w.kill()

	// The key does not fit, and then the store is no store.
	right := w.Env["RESET_KEY"]
	w.Env["RESET_KEY"] = secret()
	c.add("wrong key", w.Env["RESET_KEY"])
	for _, damage := range []bool{false, true} {
		if damage {
			w.Env["RESET_KEY"] = right
			if err := os.WriteFile(store, bytes.Repeat([]byte("no store"), 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.launch()
		w.until("the program answers without a store", func() bool {
			r, err := w.try("POST", "/password-reset", "login="+c.login)
			return err == nil && r.Status == http.StatusServiceUnavailable
		})
		c.attack(token)
		w.kill()
		c.searchFiles()
	}

	log := w.log.String()
	c.search("log", []byte(log))
	for _, want := range []string{"handled request", `"level":"debug"`, "http.handlers.reverse_proxy", "trace"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log: it is less talkative than it was told to be", want)
		}
	}
}

// canaries are what must not get out, by what they are.
type canaries struct {
	*world
	login, address, name, password string
	forms                          map[string][]string // what each looks like
	codes                          []string
	read                           int // mails
}

func newCanaries(w *world) *canaries {
	c := &canaries{world: w, forms: make(map[string][]string)}
	tag := func() string { return strings.ToLower(rand.Text()[:12]) }
	c.login, c.address = "canary-login-"+tag(), "canary-address-"+tag()+"@example.com"
	c.name, c.password = "Canary "+tag(), "canary calm sea "+tag()
	w.Env["RESET_KEY"] = secret()
	w.Env["BROKEN_RESET_KEY"] = "canary/broken+key/" + tag()
	w.Env["BROKEN_RESET_WEBHOOK_SECRET"] = "whsec_canary-broken-secret-" + tag()
	c.add("login", c.login)
	c.add("address", c.address)
	c.add("address without its domain", strings.TrimSuffix(c.address, "@example.com"))
	c.add("name", c.name)
	c.add("password", c.password)
	c.add("made-up token", "canaryCanaryCanary")
	for _, name := range []string{"RESET_KEY", "RESET_WEBHOOK_SECRET", "RESET_SMTP_PASSWORD", "BROKEN_RESET_KEY", "BROKEN_RESET_WEBHOOK_SECRET"} {
		c.add(name, strings.TrimPrefix(w.Env[name], "whsec_"))
	}
	return c
}

// add looks for s from now on: as it is, as it stands in a URL, and in the
// encodings that a careless dump would use.
func (c *canaries) add(what, s string) {
	raw := []byte(s)
	forms := []string{
		s, url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
	}
	if decoded, err := base64.StdEncoding.DecodeString(s); err == nil && len(decoded) >= 24 {
		forms = append(forms, string(decoded), hex.EncodeToString(decoded), base64.RawURLEncoding.EncodeToString(decoded))
		// As Go prints a []byte.
		forms = append(forms, strings.Trim(fmt.Sprint(decoded), "[]"))
	}
	forms = append(forms, strings.Trim(fmt.Sprint(raw), "[]"))
	c.forms[what] = append(c.forms[what], forms...)
}

// search reports what is in text and must not be.
func (c *canaries) search(where string, text []byte) {
	c.t.Helper()
	for _, leak := range c.leaks(text) {
		c.t.Errorf("%s: %s", where, leak)
	}
}

// leaks returns what is in text and must not be.
func (c *canaries) leaks(text []byte) (leaks []string) {
	for what, forms := range c.forms {
		for _, form := range forms {
			if i := bytes.Index(text, []byte(form)); i >= 0 {
				leaks = append(leaks, fmt.Sprintf("holds a %s: %q", what, text[max(0, i-150):min(len(text), i+150)]))
				break
			}
		}
	}
	for _, code := range c.codes {
		for _, form := range []string{code, code[:4] + " " + code[4:], code[:4] + "-" + code[4:]} {
			for rest := text; ; {
				i := bytes.Index(rest, []byte(form))
				if i < 0 {
					break
				}
				// Digits of a time or a number are none.
				end := rest[i+len(form):]
				if (i == 0 || !isNumber(rest[i-1])) && (len(end) == 0 || !isNumber(end[0])) {
					leaks = append(leaks, fmt.Sprintf("holds a code: %q", rest[max(0, i-150):i+len(form)]))
				}
				rest = end
			}
		}
	}
	return leaks
}

func isNumber(b byte) bool { return '0' <= b && b <= '9' || b == '.' }

// searchFiles looks through everything that the program has written.
func (c *canaries) searchFiles() {
	c.t.Helper()
	c.addMails()
	n := 0
	err := filepath.WalkDir(c.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		c.search(path, content)
		n++
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
	for _, must := range []string{"access.log", "caddy/autosave.json", "caddy/password_reset/reset.db.generation"} {
		if info, err := os.Stat(filepath.Join(c.Home, must)); err != nil || info.Size() == 0 {
			c.t.Errorf("nothing in %s of %d files: %v", must, n, err)
		}
	}
}

// mailed waits for the first mail and returns what is in it.
func (c *canaries) mailed() (token, cancel, code string) {
	m := c.mail(c.address, 1)
	token = c.token(m)
	link, err := m.CancelLink(c.Site + surface)
	if err != nil {
		c.t.Fatal(err)
	}
	if code, err = m.Code(); err != nil {
		c.t.Fatal(err)
	}
	return token, link[strings.LastIndexByte(link, '/')+1:], code
}

// mailedToken is what stands in the links of our mails.
var mailedToken = regexp.MustCompile(`/(?:link|cancel|reset)/([A-Za-z0-9_-]{40,})`)

// addMails adds what is in the mails that have come since it was last called.
func (c *canaries) addMails() {
	mails := c.Inbox.Mails()
	defer func() { c.read = len(mails) }()
	for _, m := range mails[c.read:] {
		if code, err := m.Code(); err == nil {
			c.codes = append(c.codes, code)
		}
		for _, token := range mailedToken.FindAllStringSubmatch(m.Text, -1) {
			c.add("token", token[1])
		}
	}
}

func (c *canaries) change(token string, status int) {
	c.t.Helper()
	r := c.do("POST", "/password-reset/new", `{"token":"`+token+`","password":"`+c.password+`"}`)
	if r.Status != status {
		c.t.Errorf("the change was answered %d: %s", r.Status, r.Body)
	}
}

// logged waits for words in the log.
func (c *canaries) logged(words string) {
	c.t.Helper()
	c.until("the log says "+words, func() bool { return strings.Contains(c.log.String(), words) })
}

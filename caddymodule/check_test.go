package caddymodule_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// folder returns what is in a folder, and when it was written.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = info.Mode().String() + info.ModTime().String() + string(text)
		return err
	}))
	return files
}

// A check changes nothing: not a byte of a store that is closed, even with a newer
// key, and no file is made before the first start. The app gets pings and one
// lookup. No mail leaves.
func TestCheckChangesNothing(t *testing.T) {
	w := newWay(t)
	w.running = false
	w.store = w.path("store/reset.db")
	w.key = "key " + keyA
	relay := w.relays(&relay{tls: w.ca.issue(t, nil)})
	var mu sync.Mutex
	got := make(map[string]int)
	app := w.hooks.Config.Handler
	url := w.hook(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m struct{ Type string }
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		got[r.URL.Path+" "+m.Type]++
		mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		app.ServeHTTP(rw, r)
	})
	w.lookup, w.changed = "webhook "+url+"/hooks/lookup", "webhook "+url+"/hooks/password-changed"

	w.check()
	if _, err := os.Stat(w.path("store")); err == nil {
		t.Error("before the first start: the folder was made")
	}
	w.usedStore()
	before := folder(t, w.path("store"))
	w.key = "key " + keyB + "\n key " + keyA
	clear(got)
	w.check()
	if diff := cmp.Diff(before, folder(t, w.path("store"))); diff != "" {
		t.Errorf("the store was changed: %s", diff)
	}
	mu.Lock()
	defer mu.Unlock()
	want := map[string]int{"/hooks/lookup ping": 2, "/hooks/lookup account.lookup": 1, "/hooks/password-changed ping": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(relay.got()) > 0 {
		t.Error("a mail has left without --to")
	}
}

// What anybody may read of a check holds no secret, and not the address of the test
// mail.
func TestCheckTellsNoSecret(t *testing.T) {
	const to = "canary-of-mail@corner.internal"
	w := newWay(t)
	w.key = "key " + keyA
	var said strings.Builder
	for _, change := range []func(){
		func() {},
		func() { w.smtpBlock += "\n mechanism xoauth2" },
		func() { w.relays(&relay{tls: w.ca.issue(t, nil), rcpt: errRefused}) },
		func() { w.relays(&relay{tls: w.ca.issue(t, nil), mail: errRefused}) },
		func() { w.lookup = "webhook " + w.hooks.URL + "/none?canary-of-query" },
	} {
		block := w.smtpBlock
		change()
		address := w.loadWithAdmin()
		for _, args := range [][]string{{"--to", to}, {"--to", to, "--json"}, {"--to", to + ">"}, {"--to", to, "--site", "canary?"}} {
			_ = runCheck(t.Context(), t, &said, append([]string{"--address", address}, args...)...) // what it says counts
		}
		w.smtpBlock = block
	}
	if strings.Contains(said.String(), "canary-of-query") {
		t.Error("the query of a hook was told")
	}
	said.WriteString(w.log())
	for _, canary := range []string{smtpSecret, secret, strings.TrimPrefix(secret, "whsec_"), keyA, to, "canary-of-mail"} {
		if i := strings.Index(said.String(), canary); i >= 0 {
			t.Errorf("%s was told: %.300s", canary, said.String()[max(0, i-200):])
		}
	}
	if !strings.Contains(said.String(), "test mail: taken") || !strings.Contains(said.String(), "AUTH") {
		t.Errorf("the check did not get as far as it should:\n%s", said.String())
	}
}

// The test mail is one like those that people get, and what is in it opens nothing.
func TestCheckTestMail(t *testing.T) {
	w := newWay(t)
	w.smtp, w.smtpBlock, w.to = w.inbox.Addr(), "", "alice@example.com"
	if found := problems(w.check()); len(found) > 0 {
		t.Fatalf("%+v", found)
	}
	base := w.base + "/password-reset"
	sample := w.mail("alice@example.com", 1)
	host := strings.TrimPrefix(w.base, "http://")
	w.expect(http.StatusAccepted, `"accepted"`, "POST", "/password-reset", `{"login":"alice"}`, "Host", host)
	real := w.mail("alice@example.com", 2)
	link, err := sample.Link(base)
	must(t, err)
	cancel, err := sample.CancelLink(base)
	must(t, err)
	code, err := sample.Code()
	must(t, err)

	like := func(text string) string {
		for _, r := range []struct{ pattern, with string }{
			{`/(link|cancel)/[\w-]{64}`, "/$1/TOKEN"},
			{`\b\d{4} \d{4}\b`, "CODE"},
			{`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`, "REFERENCE"},
			{`\d+:\d\d`, "TIME"},
			{`\bcheck\b`, "alice"},
			{` Alice Archer`, ""}, // the name of her account, which a sample has not
		} {
			text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
		}
		return strings.ReplaceAll(text, "TEST-MAIL", "REFERENCE")
	}
	if diff := cmp.Diff(like(real.Text), like(sample.Text)); diff != "" {
		t.Errorf("the text differs: %s", diff)
	}
	if real.Subject != sample.Subject || real.From != sample.From {
		t.Errorf("%q from %s, %q from %s", sample.Subject, sample.From, real.Subject, real.From)
	}

	path := func(link string) string { return strings.TrimPrefix(link, w.base) }
	for _, link := range []string{link, cancel} {
		if answer, page := w.do("GET", path(link), "", "Host", host); answer.StatusCode < 400 || strings.Contains(page, `name="password"`) {
			t.Errorf("%s opens: %d", link, answer.StatusCode)
		}
	}
	token := link[strings.LastIndexByte(link, '/')+1:]
	if answer, _ := w.do("POST", "/password-reset/new", `{"token":"`+token+`","password":"a calm sea at night"}`, "Host", host); answer.StatusCode < 400 {
		t.Errorf("the token sets a password: %d", answer.StatusCode)
	}
	if answer, _ := w.do("POST", "/password-reset/code", `{"login":"check","code":"`+code+`"}`, "Host", host); answer.StatusCode < 400 {
		t.Errorf("the code is taken: %d", answer.StatusCode)
	}
}

func init() {
	caddy.RegisterModule(new(checkedDirectory))
}

// A checkedDirectory is one of another project that can be tried, and does what the
// Caddyfile says.
type checkedDirectory struct {
	Mood string `json:"mood"`
}

func (*checkedDirectory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset.directories.checked", New: func() caddy.Module { return new(checkedDirectory) }}
}

func (c *checkedDirectory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&c.Mood) {
		return d.ArgErr()
	}
	return nil
}

func (c *checkedDirectory) OpenDirectory(caddymodule.Site) (reset.Directory, error) { return c, nil }

func (c *checkedDirectory) Check(context.Context) []caddymodule.Finding {
	switch c.Mood {
	case "panics":
		panic("canary of a panic")
	case "complains":
		return []caddymodule.Finding{{Step: "schema", Problem: "no table", Cure: "make one", Broken: true}}
	}
	return []caddymodule.Finding{{Step: "schema", Seen: "fits"}}
}

func (c *checkedDirectory) Lookup(context.Context, string) ([]reset.Account, error) {
	if c.Mood == "stumbles" {
		panic("canary of a panic")
	}
	return nil, nil
}

// Guests are tried if they can be, and one that panics costs its own part only.
func TestCheckGuests(t *testing.T) {
	const part = "directory"
	w := newWay(t)
	w.changed = "recording"
	mood := func(m string) func(*way) { return func(w *way) { w.lookup = "checked " + m } }
	try(t, w, []misconfiguration{
		{"panic of a check", mood("panics"), part, "check", true, "a panic (string) ended", "whoever wrote the module"},
		{"panic of a lookup", mood("stumbles"), part, "check", true, "a panic (string) ended", "whoever wrote the module"},
		{"finding", mood("complains"), part, "schema", true, "no table", "make one"},
	})
	w.lookup = "checked well"
	var seen []string
	for _, f := range w.check() {
		if f.Part == part || f.Part == "target" {
			seen = append(seen, f.Part+" "+f.Step+": "+f.Seen+f.Problem)
		}
	}
	want := []string{"directory schema: fits", "directory lookup: a login that nobody has is answered as unknown", "target guest: not tried: its module has no check"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

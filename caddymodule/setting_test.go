package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// TestTemplates holds that one folder replaces pages and letters, which see the
// same names.
func TestTemplates(t *testing.T) {
	const common = `own: {{.Site}} {{.Locale}} {{.LinkTTL}} {{.CodeTTL}} {{.Text "page.again"}}` + "\n"
	const letter = common + `{{.When}} {{.Reference}}{{.Code}}
{{.Link}}
{{.CancelLink}}
`
	w := newWorld(t)
	w.overTCP()
	folder := w.path("templates")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write("sent.html", `{{define "title"}}{{end}}{{define "content"}}`+common+`{{end}}`)
	write("reset.txt", letter)
	write("reset.html", letter)
	write("README.md", "not a template")
	write("sent.html~", "left by an editor")
	write("._sent.html", "left by a file system")
	own := config{options: "name Example\ntemplates " + folder}
	w.mustLoad(own)

	const want = "own: Example en 30 minutes 10 minutes Ask for a new mail"
	w.expect(200, want, "GET", "/password-reset/sent", "")
	w.expect(200, "Enter what you sign in with", "GET", "/password-reset", "")
	w.ask("alice")
	if m := w.mail("alice@example.com", 1); !strings.Contains(m.Text, want) || !strings.Contains(m.HTML, want) {
		t.Errorf("the mail is not the operator's: %+v", m)
	}

	for _, name := range []string{"snet.html", "rest.txt", "styles.css", "scripts.js"} {
		write(name, "misspelt")
		err := load(w.caddyfile(own))
		if err == nil {
			t.Fatalf("%s: it was loaded", name)
		}
		for _, part := range []string{"site app.example.com: templates: " + name, "sent.html", "reset.txt", "style.css"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: no %q in: %v", name, part, err)
			}
		}
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTemplateNames holds that no file could be taken for a page and a letter.
func TestTemplateNames(t *testing.T) {
	for _, name := range letters.TemplateNames() {
		if slices.Contains(web.TemplateNames(), name) {
			t.Errorf("%s is both", name)
		}
	}
}

// A secret that is written out, or comes by {$NAME}, is readable for everybody
// who sees the configuration.
func TestSecretInClearIsWarnedAbout(t *testing.T) {
	const warning = "a secret stands in clear in the configuration, and so in the admin API and in autosave.json; write {env.NAME}, not {$NAME}, or {file./path}"
	w := newWorld(t)
	w.mustLoad(config{})
	if lines := w.logged(warning); len(lines) > 0 {
		t.Errorf("a placeholder is warned about: %v", lines)
	}
	w.mustLoad(config{options: "webhook_secret {$RESET_WEBHOOK_SECRET}"})
	if lines := w.logged(warning); len(lines) != 1 || lines[0]["option"] != "webhook_secret" {
		t.Errorf("%d warnings: %v", len(lines), lines)
	}
}

func init() { caddy.RegisterModule(new(noGuest)) }

// A noGuest is registered as a target and is none.
type noGuest struct {
	URL string `json:"url"`
}

func (*noGuest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "password_reset.targets.nothing", New: func() caddy.Module { return new(noGuest) }}
}

// TestRefusedJSON holds that what only JSON can hold is refused for what it is.
func TestRefusedJSON(t *testing.T) {
	w := newWorld(t)
	text, err := adapt(w.caddyfile(config{options: "link_ttl 20m\ncode_ttl 10m"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{`"link_ttl":1200000000000`, `"link_ttl":"-20m"`, "link_ttl: -20m is below zero"},
		{`"code_ttl":600000000000`, `"code_ttl":"-10m"`, "code_ttl: -10m is below zero"},
		{`"target":{`, `"target":{"timeout":"-1s",`, "timeout: -1s is below zero"},
		{`"target":{"module":"webhook"`, `"target":{"module":"nothing"`, "target: the module password_reset.targets.nothing does not implement TargetOpener"},
	} {
		changed := strings.Replace(string(text), tt.from, tt.to, 1)
		if changed == string(text) {
			t.Fatalf("no %s in %s", tt.from, text)
		}
		var c caddy.Config
		if err := json.Unmarshal([]byte(changed), &c); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.to, err, tt.want)
		}
	}
}

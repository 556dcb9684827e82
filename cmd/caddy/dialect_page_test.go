package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// exported is what an administrator of BaasBox saves before it is switched off.
const exported = "		dialect baasbox {\n			configuration {env.BAASBOX_DUMP}\n		}\n"

// carriesOver makes the site go on with the exported configuration of a
// BaasBox whose pages are an administrator's.
func (w *world) carriesOver(more string) {
	w.t.Helper()
	w.speak(exported + more)
	w.exports("baasbox-custom.json")
}

// exports says which configuration that is.
func (w *world) exports(name string) {
	w.t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "web", "dialect", "testdata", name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.Env["BAASBOX_DUMP"] = path
}

// A BaasBox whose pages nobody has changed exports those that it came with. In
// their place a browser gets ours, where the link in the vendor's mail leads,
// and whoever has the vendor's form open can still send it.
func TestDialectDefaultPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.carriesOver("")
	w.exports("baasbox-dump.json")
	w.start()
	baasboxOK.wants(t, "start", w.say(openStart("alice")))
	form := w.baasboxForm(w.mail("alice@example.com", 1))
	v := newVisitor(t, w.Site)
	shown := v.get(form)
	v.expect("the link", shown, http.StatusOK, form, "Choose a new password")
	if tokenField.FindString(shown.body) == "" || strings.Contains(shown.body, "bootstrap") {
		t.Errorf("this is not our page:\n%s", shown.body)
	}
	submit := func(password, repeated string) view {
		return v.post(form, url.Values{"password": {password}, "repeat-password": {repeated}})
	}
	v.expect("two passwords", submit(newPassword, otherPassword), http.StatusUnprocessableEntity, form, "Choose a new password")
	v.expect("the new password", submit(newPassword, newPassword), http.StatusOK, surface+"/done", "Your password is changed")
	v.expect("the link after it was used", v.get(form), http.StatusGone, form, "This link does not work any more")
	if n := w.changes("1001"); n != 1 || !w.lets("alice", newPassword) {
		t.Errorf("the app was told %d times", n)
	}
	if n := strings.Count(w.log.String(), "page.html.template: this page and the other are those that BaasBox comes with; our own are shown in their place"); n != 1 {
		t.Errorf("the operator is told %d times whose pages are shown", n)
	}
}

// baasboxPage shows the pages of an exported configuration, with scripts and
// without, from the link in its mail to the new password.
func baasboxPage(t *testing.T, w *world, p *tab) {
	w.employ(nil, withIcon)
	w.carriesOver("")
	w.start()
	baasboxOK.wants(t, "start", w.say(openStart("alice")))
	form := w.baasboxForm(w.mail("alice@example.com", 1))
	refuses := func(password, repeated, reason string) {
		t.Helper()
		if status := p.submit(password, repeated); status != http.StatusBadRequest {
			t.Errorf("it is answered %d", status)
		}
		p.wants(form, reason)
	}
	for _, scripts := range []bool{true, false} {
		p.scripts(scripts)
		if status := p.open(w.Site + form); status != http.StatusOK {
			t.Fatalf("the link is answered %d", status)
		}
		p.wants(form, "please type it twice")
		p.styled()
		refuses(goodPassword, otherPassword, "must be the same")
		refuses(weakPassword, weakPassword, "Many people use this password")
		refuses("legacy "+goodPassword, "legacy "+goodPassword, "The old system cannot store")
		p.styled()
	}
	p.inherits()
	if status := p.submit(goodPassword, goodPassword); status != http.StatusOK {
		t.Errorf("a good password is answered %d", status)
	}
	p.wants(form, "Password changed")
	p.styled()
	if n := w.changes("1001"); n != 1 {
		t.Errorf("the app was told %d times", n)
	}
	if status := p.open(w.Site + form); status != http.StatusBadRequest {
		t.Errorf("the used link is answered %d", status)
	}
	p.wants(form, "Reset password procedure is expired!")
	p.styled()
	p.signsIn("alice", goodPassword, "Alice Archer")
}

// withIcon gives the app the icon that browsers ask for where a page has none.
func withIcon(app http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// inherits says that the next pages ask for what is on another host, as this
// administrator's second one does.
func (p *tab) inherits() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inherited = true
}

// styled fails the test unless the page has the style that stands in it.
func (p *tab) styled() {
	p.t.Helper()
	if width := evaluate[string](p, `getComputedStyle(document.querySelector("main")).maxWidth`); width != "432px" {
		p.t.Errorf("the page at %s does not have its style: it is %s wide", p.path(), width)
	}
}

// submit sends BaasBox's form.
func (p *tab) submit(password, repeated string) int64 {
	p.t.Helper()
	p.write("[name=password]", password)
	p.write("[name=repeat-password]", repeated)
	return p.press("button")
}

// TestDialectScreenshots writes the pictures of docs/dialects.md: the pages of
// an exported configuration, and mails in other words than ours.
func TestDialectScreenshots(t *testing.T) {
	if !*updateScreenshots {
		t.Skip("only with -update-screenshots")
	}
	w := newWorld(t)
	w.employ(nil, withIcon)
	p := newTab(t, newChromium(t), w)
	w.carriesOver("\t\tdialect buddy {\n\t\t\tapp_id " + buddyApp + "\n\t\t\tshared_secret {env.BUDDY_SECRET}\n\t\t\tcaller_text\n\t\t}\n")
	w.start()
	w.say(openStart("alice"))
	w.say(buddyCall("POST", `{"userName":"bob","subject":"Your code for Example","body":"Hi Bob,\n\nUse this code to choose a new password in the app: @ResetCode\n\nThe Example team"}`))
	for _, m := range []struct{ name, to string }{{"mail-baasbox", "alice@example.com"}, {"mail-buddy", "bob@example.com"}} {
		// The address of a test says nothing in a picture.
		p.show(strings.ReplaceAll(w.mail(m.to, 1).HTML, w.Site, "https://app.example.com"))
		p.shoot(m.name)
	}
	p.open(w.Site + w.baasboxForm(w.mail("alice@example.com", 1)))
	p.shoot("baasbox-form")
}

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// exported is what an administrator of BaasBox saves before it is switched off.
const exported = "		dialect baasbox {\n			configuration {env.BAASBOX_DUMP}\n		}\n"

// carriesOver makes the site go on with the exported configuration of a
// BaasBox.
func (w *world) carriesOver(more string) {
	w.t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "web", "dialect", "testdata", "baasbox-dump.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.speak(exported + more)
	w.Env["BAASBOX_DUMP"] = path
}

// baasboxPage shows the pages of an exported configuration, with scripts and
// without, from the link in its mail to the new password.
func baasboxPage(t *testing.T, w *world, p *tab) {
	p.inherited = true
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
		p.wants(form, "please insert your new password twice")
		refuses(goodPassword, otherPassword, "must be the same")
		refuses(weakPassword, weakPassword, "Many people use this password")
		refuses("legacy "+goodPassword, "legacy "+goodPassword, "The old system cannot store")
	}
	if status := p.submit(goodPassword, goodPassword); status != http.StatusOK {
		t.Errorf("a good password is answered %d", status)
	}
	p.wants(form, "Password changed")
	if n := w.changes("1001"); n != 1 {
		t.Errorf("the app was told %d times", n)
	}
	if status := p.open(w.Site + form); status != http.StatusBadRequest {
		t.Errorf("the used link is answered %d", status)
	}
	p.wants(form, "Reset password procedure is expired!")
	p.signsIn("alice", goodPassword, "Alice Archer")
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
	p := newTab(t, newChromium(t), w)
	p.inherited = true
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

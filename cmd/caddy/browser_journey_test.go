package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

const (
	goodPassword  = "cobalt walnut teacup 4711"
	otherPassword = "violet lantern marble 0815"
	weakPassword  = "passwordpassword"
)

// Each of these is a person with a browser and an app of their own.
func TestBrowser(t *testing.T) {
	chromium := newChromium(t)
	binary(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *world, *tab)
	}{
		{"link", followLink},
		{"link without scripts", followLinkWithoutScripts},
		{"code", enterCode},
		{"code without cookies", enterCodeWithoutCookies},
		{"refused by the app", refusedByApp},
		{"app down", appDown},
		{"second device", secondDevice},
		{"two tabs", twoTabs},
		{"double click", doubleClick},
		{"was not me", notMe},
		{"back after success", backAfterSuccess},
		{"back after success without scripts", backAfterSuccessWithoutScripts},
		{"every page", everyPage},
		{"baasbox's page", baasboxPage},
		{"clients of other origins", acrossOrigins},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.run(t, w, newTab(t, chromium, w))
		})
	}
}

func followLink(t *testing.T, w *world, p *tab) {
	w.start()
	// From where people start: the app's own page.
	p.open(w.Site + demo.LoginPath)
	p.press(`a[href="` + demo.ResetPath + `"]`)
	p.wants(demo.ResetPath, "Reset your password")
	p.ask("alice")
	p.open(w.link("alice", 1))
	p.wants(demo.ResetPath+"/link", "Choose a new password")

	const types = `[...document.querySelectorAll("#password, #password-repeat")].map(i => i.type).join()`
	const checked = `document.querySelector("#reveal").checked`
	p.write("#password", weakPassword)
	p.write("#password-repeat", weakPassword)
	// In the end they are shown: browsers remember what fields of type text
	// held when a form is sent.
	for _, state := range []struct {
		checked bool
		types   string
	}{{true, "text,text"}, {false, "password,password"}, {true, "text,text"}} {
		p.do(chromedp.Click(chromedp.CSS("#reveal"), chromedp.NodeVisible))
		if got := evaluate[string](p, types); got != state.types {
			t.Errorf("the fields are %s, want %s", got, state.types)
		}
		if got := evaluate[bool](p, checked); got != state.checked {
			t.Errorf("the control says that passwords are shown: %v", got)
		}
	}
	if status := p.press("button"); status != http.StatusUnprocessableEntity {
		t.Fatalf("a weak password is answered with %d", status)
	}
	p.wants(demo.ResetPath+"/new", "Many people use this password")
	if got := evaluate[string](p, types); got != "password,password" {
		t.Errorf("after a refusal the fields are %s", got)
	}
	if got := evaluate[string](p, `document.activeElement.id`); got != "password" {
		t.Errorf("after a refusal the focus is on %q", got)
	}
	p.changes(goodPassword)
	p.press("a.button")
	p.wants(demo.LoginPath, "Log in")
	p.signsIn("alice", goodPassword, "Alice Archer")
}

func followLinkWithoutScripts(t *testing.T, w *world, p *tab) {
	w.start()
	p.scripts(false)
	p.ask("alice")
	link := w.link("alice", 1)
	p.open(link)
	p.wants(strings.TrimPrefix(link, w.Site), "Choose a new password")
	if strings.Contains(p.text(), "Show passwords") {
		t.Error("a control is shown that does nothing without scripts")
	}
	if status := p.choose(weakPassword); status != http.StatusUnprocessableEntity {
		t.Fatalf("a weak password is answered with %d", status)
	}
	p.wants(demo.ResetPath+"/new", "Many people use this password")
	p.changes(goodPassword)
	p.signsIn("alice", goodPassword, "Alice Archer")
}

func enterCode(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("bob")
	if got := evaluate[string](p, `document.querySelector("#login").value`); got != "bob" {
		t.Errorf("the field holds %q, not what was typed before", got)
	}
	code, err := w.mail("bob@example.com", 1).Code()
	if err != nil {
		t.Fatal(err)
	}
	p.write("#code", wrongCode(code))
	if status := p.press("button"); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong code is answered with %d", status)
	}
	p.wants(demo.ResetPath+"/code", "This code does not go with that name")
	// As the mail shows it, in two groups.
	p.write("#code", code[:4]+" "+code[4:])
	p.press("button")
	p.wants(demo.ResetPath+"/code", "Choose a new password")
	p.changes(goodPassword)
	p.signsIn("bob", goodPassword, "Bob Baker")
}

func enterCodeWithoutCookies(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("bob")
	p.call(chromedp.Call(p.ctx, network.ClearBrowserCookies, cdp.Empty{}))
	p.open(w.Site + demo.ResetPath + "/sent")
	if got := evaluate[string](p, `document.querySelector("#login").value`); got != "" {
		t.Errorf("without the cookie the field holds %q", got)
	}
	code, err := w.mail("bob@example.com", 1).Code()
	if err != nil {
		t.Fatal(err)
	}
	p.write("#login", "bob@example.com")
	p.write("#code", code)
	p.press("button")
	p.wants(demo.ResetPath+"/code", "Choose a new password")
	p.changes(goodPassword)
}

// wrongCode returns a code of the same shape.
func wrongCode(code string) string {
	return strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)
}

func refusedByApp(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("alice")
	p.open(w.link("alice", 1))
	token := evaluate[string](p, `document.querySelector("[name=token]").value`)
	if status := p.choose("legacy " + goodPassword); status != http.StatusUnprocessableEntity {
		t.Fatalf("a password that the app refuses is answered with %d", status)
	}
	p.wants(demo.ResetPath+"/new", `The old system cannot store passwords with the word "legacy".`)
	if again := evaluate[string](p, `document.querySelector("[name=token]").value`); again != token {
		t.Error("the page goes on with another token")
	}
	p.changes(goodPassword)
	p.signsIn("alice", goodPassword, "Alice Archer")
}

func appDown(t *testing.T, w *world, p *tab) {
	app := w.tap(nil)
	w.start()
	p.ask("carol")
	p.open(w.link("carol", 1))
	w.App.SetDown(true)
	if status := p.choose(goodPassword); status != http.StatusOK {
		t.Fatalf("with the app down a new password is answered with %d", status)
	}
	p.wants(demo.ResetPath+"/pending", "Your new password is saved")
	w.App.SetDown(false)

	if notice := w.mail("carol@example.com", 2); !strings.Contains(notice.Subject, "was changed") {
		t.Errorf("the mail that follows is %q", notice.Subject)
	}
	p.signsIn("carol", goodPassword, "Carol Cooper")
	ids := app.deliveries()
	if len(ids) < 2 || slices.IndexFunc(ids, func(id string) bool { return id == "" || id != ids[0] }) >= 0 {
		t.Errorf("the deliveries have the ids %q, want one id for all of several", ids)
	}
	if n := applied(w); n != 1 {
		t.Errorf("the app has applied %d changes", n)
	}
}

// applied returns how many deliveries of a change the app has said yes to.
func applied(w *world) (n int) {
	for _, d := range w.App.Deliveries() {
		if d.Type == "password.changed" && d.Status == http.StatusNoContent {
			n++
		}
	}
	return n
}

func secondDevice(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("alice")
	other := newTab(t, p.ctx, w)
	other.open(w.link("alice", 1))
	other.changes(goodPassword)
	other.signsIn("alice", goodPassword, "Alice Archer")
}

func twoTabs(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("alice")
	link := w.link("alice", 1)
	p.open(link)
	other := p.second()
	other.open(link)
	for _, one := range []*tab{p, other} {
		one.wants(demo.ResetPath+"/link", "Choose a new password")
	}
	other.changes(goodPassword)
	if status := p.choose(otherPassword); status == http.StatusOK {
		t.Error("the second tab is told that all is well")
	}
	p.gone()
	p.press("a.button")
	p.wants(demo.ResetPath, "Reset your password")
	p.signsIn("alice", goodPassword, "Alice Archer")
	if n := applied(w); n != 1 {
		t.Errorf("the app has applied %d changes", n)
	}
}

func doubleClick(t *testing.T, w *world, p *tab) {
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	app := w.tap(hold)
	t.Cleanup(release)
	w.start()
	p.ask("alice")
	p.open(w.link("alice", 1))
	p.write("#password", goodPassword)
	p.write("#password-repeat", goodPassword)
	p.do(chromedp.ScrollIntoView(chromedp.CSS("button")))
	at := evaluate[struct{ X, Y float64 }](p, `(r => ({X: r.x + r.width / 2, Y: r.y + r.height / 2}))(document.querySelector("button").getBoundingClientRect())`)
	// The app is slow, so that both clicks are under way at once.
	p.do(chromedp.MouseClickXY(at.X, at.Y))
	w.until("the app has the change", func() bool { return len(app.deliveries()) == 1 })
	p.do(chromedp.MouseClickXY(at.X, at.Y))
	w.until("the second click is sent", func() bool { return p.count("POST "+demo.ResetPath+"/new") == 2 })
	release()
	p.do(chromedp.WaitVisible(chromedp.CSS("a.button")))
	p.wants(demo.ResetPath+"/done", "Your password is changed")
	p.signsIn("alice", goodPassword, "Alice Archer")
	if ids := app.deliveries(); len(ids) != 1 || applied(w) != 1 {
		t.Errorf("the app got %d deliveries and applied %d", len(ids), applied(w))
	}
}

func notMe(t *testing.T, w *world, p *tab) {
	w.start()
	p.ask("alice")
	m := w.mail("alice@example.com", 1)
	cancel, err := m.CancelLink(w.Site + demo.ResetPath)
	if err != nil {
		t.Fatal(err)
	}
	link := w.link("alice", 1)
	p.open(cancel)
	p.wants(demo.ResetPath+"/cancel", "This wasn’t you?")
	// To open the page is not to press the button: mail scanners open it.
	p.open(link)
	p.wants(demo.ResetPath+"/link", "Choose a new password")
	p.open(cancel)
	p.press("button")
	p.wants(demo.ResetPath+"/cancel", "The reset is stopped")
	p.open(link)
	p.gone()
	p.signsIn("alice", demo.InitialPassword, "Alice Archer")
}

func backAfterSuccess(t *testing.T, w *world, p *tab) {
	w.start()
	back(t, w, p)
}

func backAfterSuccessWithoutScripts(t *testing.T, w *world, p *tab) {
	w.start()
	p.scripts(false)
	back(t, w, p)
}

// back goes back through all that came before a change: a page that was
// refused, the link, the form.
func back(t *testing.T, w *world, p *tab) {
	t.Helper()
	p.ask("alice")
	p.open(w.link("alice", 1))
	p.choose(weakPassword)
	p.changes(goodPassword)
	history, err := chromedp.Run(p.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	if len(history.Entries) < 3 {
		t.Fatalf("the history has %d entries", len(history.Entries))
	}
	done := int(history.CurrentIndex)
	refusal, link := history.Entries[done-1], history.Entries[done-2]
	// A page that the browser has kept is not loaded, and this waits in vain.
	loading, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(loading, chromedp.NavigateToHistoryEntry(link.ID)); err != nil {
		t.Fatalf("going back to the link: %v", err)
	}
	if !strings.HasPrefix(link.URL, w.Site+demo.ResetPath+"/link") {
		t.Errorf("the page before is %s, not the link", link.URL)
	}
	p.gone()
	// What came from a form is not kept: the browser says so and offers to
	// send the form again, with a token that is dead.
	err = chromedp.Do(p.ctx, chromedp.NavigateToHistoryEntry(refusal.ID))
	if err == nil || !strings.Contains(err.Error(), "ERR_CACHE_MISS") {
		t.Errorf("going back to the refusal: %v, want ERR_CACHE_MISS", err)
	}
	if n := applied(w); n != 1 {
		t.Errorf("the app has applied %d changes", n)
	}
}

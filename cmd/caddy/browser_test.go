package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// newChromium starts one browser for a test and those below it, each of which
// has profiles of its own in it.
func newChromium(t *testing.T) context.Context {
	t.Helper()
	program := need(t, "chromium", "chromium")
	home, err := os.MkdirTemp("", "reset-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(home),
		chromedp.Env("HOME="+home),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx
}

// ask asks for a mail and stays on the page that follows.
func (p *tab) ask(login string) {
	p.t.Helper()
	p.open(p.site + demo.ResetPath)
	p.write("#login", login)
	if status := p.press("button"); status != http.StatusOK {
		p.t.Fatalf("asking for a mail answers %d", status)
	}
	p.wants(demo.ResetPath+"/sent", "Check your mail")
}

// choose types a new password twice, sends it and returns the status.
func (p *tab) choose(password string) int64 {
	p.t.Helper()
	p.write("#password", password)
	p.write("#password-repeat", password)
	return p.press("button")
}

// changes chooses a password that must be accepted.
func (p *tab) changes(password string) {
	p.t.Helper()
	if status := p.choose(password); status != http.StatusOK {
		p.t.Fatalf("the new password is answered with %d:\n%s", status, p.text())
	}
	p.wants(demo.ResetPath+"/done", "Your password is changed")
}

// signsIn logs in to the app.
func (p *tab) signsIn(login, password, name string) {
	p.t.Helper()
	p.open(p.site + demo.LoginPath)
	p.write("#login", login)
	p.write("#password", password)
	p.press("main button")
	p.wants("/", "Hello, "+name)
}

// gone fails the test unless the page is the one that every dead link gets.
func (p *tab) gone() {
	p.t.Helper()
	if text := p.text(); !strings.Contains(text, "This link does not work any more") {
		p.t.Fatalf("the page at %s should say that the link is dead, but says:\n%s", p.path(), text)
	}
	if evaluate[bool](p, "document.querySelector('input') !== null") {
		p.t.Fatal("the page for dead links has fields")
	}
}

// link returns the link in the n-th mail to an account.
func (w *world) link(login string, n int) string {
	w.t.Helper()
	link, err := w.mail(login+"@example.com", n).Link(w.Site + demo.ResetPath)
	if err != nil {
		w.t.Fatal(err)
	}
	return link
}

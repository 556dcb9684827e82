package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A tab is one of a browser. The test fails if a page in it breaks its own
// Content-Security-Policy, logs an error, asks another host for anything, or
// tells one of our addresses in a Referer: some hold a token.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string

	// Inherited says that pages hold markup of an operator's, of which their
	// policy keeps out what would come from elsewhere. It does, and nothing
	// else in it is a fault.
	inherited bool

	mu      sync.Mutex
	sent    []string // methods and paths of the requests
	faults  []string
	foreign map[network.RequestID]string // requests to other hosts that nothing has stopped
}

// newTab opens a tab in a profile of its own: no cookies, no history.
func newTab(t *testing.T, chromium context.Context, w *world) *tab {
	t.Helper()
	return openTab(t, chromium, w.Site, chromedp.WithNewBrowserContext())
}

// second opens another tab of the same profile.
func (p *tab) second() *tab {
	p.t.Helper()
	return openTab(p.t, p.ctx, p.site)
}

func openTab(t *testing.T, parent context.Context, site string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{t: t, site: site, foreign: make(map[network.RequestID]string)}
	ctx, closeTab := chromedp.NewContext(parent, append(options, chromedp.WithListener(p.listen))...)
	t.Cleanup(closeTab)
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	t.Cleanup(p.report)
	p.call(chromedp.Call(p.ctx, audits.Enable, cdp.Empty{}))
	// Tabs in parallel would take the focus from each other.
	p.call(chromedp.Call(p.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	return p
}

// listen gets the events of the tab in their order; it must not wait.
func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		address := e.Request.URL
		if u, err := url.Parse(address); err == nil {
			p.sent = append(p.sent, e.Request.Method+" "+u.Path)
		}
		if !strings.HasPrefix(address, p.site+"/") && !strings.HasPrefix(address, "data:") && address != "about:blank" {
			p.foreign[e.RequestID] = address
		}
	case *network.EventLoadingFailed:
		if p.inherited && e.BlockedReason == network.BlockedReasonCsp {
			delete(p.foreign, e.RequestID)
		}
	case *network.EventRequestWillBeSentExtraInfo:
		if referer, _ := e.Headers["Referer"].(string); isOurs(strings.TrimPrefix(referer, p.site)) {
			p.faults = append(p.faults, "request with the Referer "+referer)
		}
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		p.faults = append(p.faults, "console: "+string(e.Type))
	case *log.EventEntryAdded:
		// A form that is answered with 4xx is no error of the page.
		answer := e.Entry.Source == log.EntrySourceNetwork && isOurs(strings.TrimPrefix(e.Entry.URL, p.site)) &&
			strings.Contains(e.Entry.Text, "responded with a status of 4")
		// On a loaded machine the test is in a field before the browser is.
		focus := strings.HasPrefix(e.Entry.Text, "Autofocus processing was blocked")
		// There, too, a form is at times looked at before its fields are read:
		// that the hidden one for the login is there is held by the tests of web.
		username := strings.HasPrefix(e.Entry.Text, "[DOM] Password forms should have (optionally hidden) username fields")
		if !answer && !focus && !username && !p.inherited {
			p.faults = append(p.faults, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if issue, _ := json.Marshal(e.Issue); !p.inherited {
			p.faults = append(p.faults, "issue: "+string(issue))
		}
	}
}

// isOurs tells the paths whose pages we make.
func isOurs(path string) bool {
	return strings.HasPrefix(path, demo.ResetPath) || strings.HasPrefix(path, "/user/password/reset/")
}

func (p *tab) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fault := range p.faults {
		p.t.Error(fault)
	}
	for _, address := range p.foreign {
		p.t.Error("request to another host: " + address)
	}
}

// count returns how often a request was sent.
func (p *tab) count(request string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.sent {
		if r == request {
			n++
		}
	}
	return n
}

func (p *tab) call(_ cdp.Empty, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatalf("%v\nat %s", err, p.path())
	}
}

// scripts switches the scripts of pages on or off.
func (p *tab) scripts(on bool) {
	p.t.Helper()
	p.call(chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// open goes to an address and returns the status of the page.
func (p *tab) open(address string) int64 {
	p.t.Helper()
	answer, err := chromedp.Run(p.ctx, chromedp.NavigateResponse(address))
	return p.status(answer, err)
}

// press clicks on what leads to another page and returns its status.
func (p *tab) press(selector string) int64 {
	p.t.Helper()
	answer, err := chromedp.RunResponse(p.ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
	return p.status(answer, err)
}

func (p *tab) status(answer *network.Response, err error) int64 {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%v\nat %s", err, p.path())
	}
	if answer == nil {
		return 0
	}
	return answer.Status
}

// write types into a field, key by key.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// path returns the path in the address bar.
func (p *tab) path() string {
	address, err := chromedp.Run(p.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(address, p.site)
}

// text returns what the page says.
func (p *tab) text() string {
	p.t.Helper()
	return evaluate[string](p, "document.body.innerText")
}

// wants fails the test unless the page is at path and says text.
func (p *tab) wants(path, text string) {
	p.t.Helper()
	if got := p.path(); got != path {
		p.t.Fatalf("the page is %s, want %s; it says:\n%s", got, path, p.text())
	}
	if got := p.text(); !strings.Contains(got, text) {
		p.t.Fatalf("the page at %s does not say %q but:\n%s", path, text, got)
	}
}

// evaluate runs a script of the test, which works without scripts of the page
// and is not bound by its policy.
func evaluate[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.t.Fatalf("%v\nin %s\nat %s", err, script, p.path())
	}
	return v
}

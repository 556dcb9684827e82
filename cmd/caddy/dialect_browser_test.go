package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// acrossOrigins makes a page of another site call as the vendors' clients for
// browsers do. A real browser asks first whether it may.
func acrossOrigins(t *testing.T, w *world, p *tab) {
	w.employ(people(8), nil)
	w.speak(guardedDialects)
	w.start()
	page := newForeignPage(t, p.ctx)

	catalyze := func(login string) string { return page.request(w.Site, catalyzeStart(login)) }
	baasbox := func(login string) string {
		return page.request(w.Site, baasboxStart(login).with("X-BB-SESSION", "sess-token"))
	}
	logins := people(8)
	for i, tt := range []struct {
		name string
		ask  func(login string) string
		want string
	}{
		{"catalyze", catalyze, `200 application/json {}`},
		{"baasbox", baasbox, `200 application/json; charset=utf-8 {"result":"ok","data":"","http_code":200}`},
		{
			"buddy", func(login string) string { return page.request(w.Site, buddyStart(login)) },
			`200 application/json {"status":200,"request_id":"REQUEST-ID","success":true,"result":true}`,
		},
		// Its clients are no browsers.
		{"payabli", func(login string) string { return page.request(w.Site, payabliStart(login)) }, "failed"},
	} {
		if got := tt.ask(logins[i].Login); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}

	t.Run("baasbox, its client", func(t *testing.T) {
		page.load(sdks(t), "baasbox")
		got := page.evaluate(`
			BaasBox.setEndPoint(` + quoted(w.Site) + `);
			BaasBox.appcode = ` + quoted(baasboxCode) + `;
			localStorage.setItem("baasbox", JSON.stringify({username: "person-4", token: "sess-token"}));
			return await BaasBox.resetPassword().then(v => JSON.stringify(v), e => "failed " + e.status + " " + e.responseText);`)
		if got != `{"result":"ok","data":"","http_code":200}` {
			t.Errorf("the client got %s", got)
		}
		w.mail("person-4@example.com", 1)
	})
	t.Run("buddy, its client", func(t *testing.T) {
		page.load(sdks(t), "buddy-sdk")
		calls := `
			const said = [];
			Buddy.init(` + quoted(buddyApp) + `, ` + quoted(buddyKey) + `, {root: ` + quoted(w.Site) + `, sharedSecret: ` + quoted(buddySecret) + `, output: {log: s => said.push(s)}});
			const does = (method, parameters) => new Promise(done => Buddy[method]("/users/password", parameters, (error, value) =>
				done(error ? "failed " + error.error + ": " + error.message + said : JSON.stringify({success: value.success, result: value.result}))));
			`
		if got := page.evaluate(calls + `return await does("post", {userName: "person-5", subject: "Reset Your Password", body: "Use this code: @ResetCode"});`); got != `{"success":true,"result":true}` {
			t.Fatalf("start: %s", got)
		}
		code := buddyCode(t, w.mail("person-5@example.com", 1))
		finish := func(code string) string {
			return page.evaluate(calls + `return await does("patch", {userName: "person-5", resetCode: ` + quoted(code) + `, newPassword: ` + quoted(newPassword) + `});`)
		}
		if got := finish(wrongCode(code)); got != "failed ParameterIncorrectFormat: The reset code is invalid or has expired." {
			t.Errorf("a wrong code: %s", got)
		}
		if got := finish(code); got != `{"success":true,"result":true}` {
			t.Errorf("finish: %s", got)
		}
		if n := w.changes("2005"); n != 1 || !w.lets("person-5", newPassword) {
			t.Errorf("the app was told %d times", n)
		}
	})
	for _, n := range []int{0, 1, 2} {
		w.mail(logins[n].Email, 1)
	}

	// What a page embeds, a browser asks for; but nobody wanted a mail.
	asked, met := strings.Count(w.log.String(), "reset asked for"), strings.Count(w.log.String(), `"dialect":"baasbox"`)
	address := w.Site + baasboxStart("person-6").target + "?appcode=" + baasboxCode
	for _, markup := range []string{"<img src=%s>", "<iframe src=%s></iframe>", "<script src=%s></script>"} {
		page.embed(strings.Replace(markup, "%s", address, 1))
	}
	w.until("the site has been asked", func() bool { return strings.Count(w.log.String(), `"dialect":"baasbox"`) >= met+3 })
	if n := strings.Count(w.log.String(), "reset asked for"); n != asked {
		t.Error("an address that a page embeds starts a reset")
	}

	// The operator names who may call.
	restricted := w.caddyfile()
	for _, line := range []string{"app_id " + catalyzeApp, "app_code {env.BAASBOX_CODE}", "app_id " + buddyApp} {
		restricted = strings.Replace(restricted, "\t\t"+line+"\n", "\t\t"+line+"\n\t\torigins https://app.example.com\n", 1)
	}
	restricted = strings.Replace(restricted, "\t\trequest_token", "\t\torigins https://app.example.com "+page.origin+"\n\t\trequest_token", 1)
	w.write("Caddyfile", []byte(restricted))
	if out, err := w.caddy("reload", "--config", w.Caddyfile, "--adapter", "caddyfile"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		name, got, want string
	}{
		{"catalyze", catalyze("person-6"), "failed"},
		{"baasbox", baasbox("person-6"), "failed"},
		{"buddy", page.request(w.Site, buddyStart("person-6")), "failed"},
		{"payabli", page.request(w.Site, payabliStart("person-7")), `200 application/json {"isSuccess":true,"responseText":"Success"}`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, with origins: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	w.mail("person-7@example.com", 1)
}

// A foreignPage is a page of another site in a browser.
type foreignPage struct {
	t      *testing.T
	ctx    context.Context
	origin string
	sdks   string
}

func newForeignPage(t *testing.T, chromium context.Context) *foreignPage {
	t.Helper()
	p := &foreignPage{t: t}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(server.Close)
	// Another name, so that it is another site and not only another origin.
	p.origin = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	ctx, closeTab := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithTimeout(ctx, 40*time.Second)
	t.Cleanup(cancel)
	p.open("/")
	return p
}

// serve gives out an empty page, pages with a client, and the clients' files.
func (p *foreignPage) serve(w http.ResponseWriter, r *http.Request) {
	files := map[string]string{
		"/jquery.js":    "jquery/dist/jquery.js",
		"/buddy-sdk.js": "buddy-sdk/Src/buddy.js",
		"/baasbox.js":   "baasbox/dist/baasbox.js",
	}
	if file, ok := files[r.URL.Path]; ok {
		script, err := os.ReadFile(filepath.Join(p.sdks, "node_modules", file))
		if err != nil {
			p.t.Error(err)
		}
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	body := `<!doctype html><link rel=icon href=data:,><title>Another site</title>`
	if client := strings.TrimPrefix(r.URL.Path, "/"); client != "" {
		// One of them is a module of Node.
		body += `<script src=/jquery.js></script><script>if (` + quoted(client) + ` === "baasbox") { exports = {}; require = () => jQuery; }</script>` +
			`<script src=/` + client + `.js></script><script>if (self.exports) BaasBox = exports.default;</script>`
	}
	_, _ = w.Write([]byte(body))
}

func (p *foreignPage) open(path string) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(p.origin+path)); err != nil {
		p.t.Fatal(err)
	}
}

// load opens a page with the client of a vendor.
func (p *foreignPage) load(sdks, client string) {
	p.t.Helper()
	p.sdks = sdks
	p.open("/" + client)
}

// evaluate runs the body of an asynchronous function.
func (p *foreignPage) evaluate(body string) string {
	p.t.Helper()
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("(async () => {"+body+"})()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v\nin %s", err, body)
	}
	return got
}

// request sends a phrase as a script does and returns what the script can read
// of the answer.
func (p *foreignPage) request(site string, c phrase) string {
	p.t.Helper()
	headers, err := json.Marshal(c.header)
	if err != nil {
		p.t.Fatal(err)
	}
	return masks(p.evaluate(`
		const x = new XMLHttpRequest(), headers = ` + string(headers) + `;
		x.open(` + quoted(c.method) + `, ` + quoted(site+c.target) + `);
		for (let i = 0; i < headers.length; i += 2) x.setRequestHeader(headers[i], headers[i + 1]);
		return await new Promise(done => {
			x.onload = () => done(x.status + " " + x.getResponseHeader("Content-Type") + " " + x.responseText);
			x.onerror = () => done("failed");
			x.send(` + quoted(c.body) + ` || null);
		});`))
}

// embed puts markup into the page.
func (p *foreignPage) embed(markup string) {
	p.t.Helper()
	p.evaluate(`
		const holder = document.createRange().createContextualFragment(` + quoted(markup) + `);
		document.head.append(holder);
		return "";`)
}

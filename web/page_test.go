package web_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"golang.org/x/net/html"
)

// everyPage returns all pages that a person may see, by what they show.
func everyPage(t *testing.T) map[string]*httptest.ResponseRecorder {
	t.Helper()
	const base = "/password-reset"
	site := &fakeSite{}
	h := newHandler(t, options(site))
	pages := map[string]*httptest.ResponseRecorder{
		"ask":        get(t, h, base),
		"ask again":  post(t, h, base, form, "login="),
		"sent":       get(t, h, base+"/sent"),
		"sent again": post(t, h, base+"/code", form, "login=a&code=1"),
		"new":        get(t, h, base+"/link/"+liveToken),
		"new again":  newPassword(t, h, liveToken, "a", "b"),
		"by code":    post(t, h, base+"/code", form, "login=a&code="+liveCode),
		"done":       get(t, h, base+"/done"),
		"pending":    get(t, h, base+"/pending"),
		"claimed":    get(t, h, base+"/link/"+claimedToken),
		"dead":       get(t, h, base+"/link/x"),
		"cancel":     get(t, h, base+"/cancel/"+cancelToken),
		"cancelled":  post(t, h, base+"/cancel/"+cancelToken, form, ""),
		"request":    post(t, h, base, form, "x=y"),
		"not found":  get(t, h, base+"/x"),
		"method":     get(t, h, base+"/new"),
		"media type": post(t, h, base, "text/plain", "login=a"),
		"too large":  post(t, h, base, form, "login="+strings.Repeat("a", 17<<10)),
	}
	cross := httptest.NewRequest("POST", "https://app.test"+base, strings.NewReader("login=a"))
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	pages["cross-site"] = visit(t, h, cross)
	site.result.Status = reset.StatusGone
	pages["gone"] = newPassword(t, h, liveToken, goodPassword, goodPassword)
	site.result.Status = reset.StatusSuperseded
	pages["superseded"] = newPassword(t, h, liveToken, goodPassword, goodPassword)
	site.err = &reset.LimitError{}
	pages["limit"] = post(t, h, base, form, "login=a")
	site.err = reset.ErrUnavailable
	pages["unavailable"] = post(t, h, base, form, "login=a")
	return pages
}

// What every page needs to be usable by everybody (WCAG 2.2) and to load
// nothing.
func TestPages(t *testing.T) {
	for name, w := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			checkHeaders(t, w)
			if lang := w.Header().Get("Content-Language"); lang != "en" {
				t.Errorf("Content-Language: %q", lang)
			}
			checkBalanced(t, w.Body.String())
			doc, err := html.Parse(strings.NewReader(w.Body.String()))
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]bool{}
			labels := map[string]bool{}
			var heads, mains, alerts int
			var title string
			for n := range doc.Descendants() {
				if id := attr(n, "id"); id != "" {
					if ids[id] {
						t.Errorf("id %s twice", id)
					}
					ids[id] = true
				}
				if n.Type != html.ElementNode {
					continue
				}
				if n.Data == "label" {
					labels[attr(n, "for")] = true
				}
				for _, a := range n.Attr {
					// Style and event attributes are what the policy forbids.
					if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
						t.Errorf("<%s %s>", n.Data, a.Key)
					}
					if a.Key == "src" || a.Key == "target" || a.Key == "placeholder" || strings.Contains(a.Val, "//") {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
				}
				switch n.Data {
				case "html":
					if attr(n, "lang") != "en" || attr(n, "dir") != "ltr" {
						t.Error("no language")
					}
				case "h1":
					heads++
				case "main":
					mains++
				case "title":
					title = n.FirstChild.Data
				case "form":
					if attr(n, "method") != "post" {
						t.Error("a form that does not post")
					}
				}
				if attr(n, "role") == "alert" {
					alerts++
				}
			}
			if heads != 1 || mains != 1 || !strings.HasSuffix(title, " – Example") {
				t.Errorf("%d h1, %d main, title %q", heads, mains, title)
			}
			if bad := w.Code == 400 || w.Code == 422; bad && alerts != 1 {
				t.Errorf("%d alerts", alerts)
			}
			for n := range doc.Descendants() {
				if n.Data != "input" || attr(n, "type") == "hidden" || attr(n, "aria-hidden") != "" || n.Parent.Data == "label" {
					continue
				}
				if !labels[attr(n, "id")] {
					t.Errorf("no label for %s", attr(n, "name"))
				}
				want := map[string]string{"login": "username", "code": "one-time-code", "password": "new-password", "password_repeat": "new-password"}[attr(n, "name")]
				if attr(n, "autocomplete") != want {
					t.Errorf("%s: autocomplete %q", attr(n, "name"), attr(n, "autocomplete"))
				}
				for id := range strings.FieldsSeq(attr(n, "aria-describedby")) {
					if !ids[id] {
						t.Errorf("%s is described by %s, which is not there", attr(n, "name"), id)
					}
				}
				if attr(n, "name") != "login" && attr(n, "value") != "" {
					t.Errorf("%s is filled in", attr(n, "name"))
				}
			}
		})
	}
}

// checkBalanced finds elements that are not closed, or closed twice, which the
// parser would mend without a word.
func checkBalanced(t *testing.T, page string) {
	t.Helper()
	void := []string{"meta", "input", "rect", "path", "circle"}
	z := html.NewTokenizer(strings.NewReader(page))
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("%v, open: %q", z.Err(), open)
			}
			return
		case html.StartTagToken:
			if name, _ := z.TagName(); !slices.Contains(void, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> within %q", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// The whole way with a cookie jar and without scripts, over a real connection,
// doing only what the pages offer.
func TestJourneyWithoutScripts(t *testing.T) {
	site := &fakeSite{}
	o := options(site)
	o.LoginURL = "/login"
	server := httptest.NewUnstartedServer(nil)
	o.BaseURL = "http://" + server.Listener.Addr().String()
	server.Config.Handler = handle(newHandler(t, o))
	server.Start()
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	b.open(o.BaseURL + "/forgot-password")
	b.submit(200, map[string]string{"login": "alice"})
	if got := b.form["login"]; got != "alice" {
		t.Errorf("login is %q on the next page", got)
	}
	b.submit(422, map[string]string{"code": "0"})
	b.submit(200, map[string]string{"code": liveCode})
	b.submit(422, map[string]string{"password": goodPassword, "password_repeat": "x"})
	b.submit(422, map[string]string{"password": "x", "password_repeat": "x"})
	b.submit(200, map[string]string{"password": goodPassword, "password_repeat": goodPassword})
	if got := b.at.Path; got != "/password-reset/done" {
		t.Errorf("the way ends at %s", got)
	}
	if site.change.Password != goodPassword {
		t.Errorf("the domain got %+v", site.change)
	}
	if n := len(jar.Cookies(b.at)); n != 0 {
		t.Errorf("%d cookies are left", n)
	}
}

// A browser knows the form on the page that it shows.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	action string
	form   map[string]string
}

func (b *browser) open(address string) {
	b.t.Helper()
	r, err := b.client.Get(address)
	b.show(r, err, 200)
}

func (b *browser) submit(status int, fill map[string]string) {
	b.t.Helper()
	values := url.Values{}
	for name, value := range b.form {
		values.Set(name, value)
	}
	for name, value := range fill {
		if _, ok := b.form[name]; !ok {
			b.t.Fatalf("no field %s at %s", name, b.at)
		}
		values.Set(name, value)
	}
	r, err := b.client.PostForm(b.at.ResolveReference(&url.URL{Path: b.action}).String(), values)
	b.show(r, err, status)
}

func (b *browser) show(r *http.Response, err error, status int) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	doc, err := html.Parse(r.Body)
	if err != nil || r.StatusCode != status {
		b.t.Fatalf("%s: %s, want %d; %v", r.Request.URL, r.Status, status, err)
	}
	b.at, b.action, b.form = r.Request.URL, "", map[string]string{}
	for n := range doc.Descendants() {
		switch n.Data {
		case "form":
			b.action = attr(n, "action")
		case "input":
			if name := attr(n, "name"); name != "" {
				b.form[name] = attr(n, "value")
			}
		}
	}
}

func TestOperatorTemplates(t *testing.T) {
	o := options(&fakeSite{})
	o.Name = `<Ex & "ample">`
	o.Templates = fstest.MapFS{
		"done.html": {Data: []byte(`{{define "title"}}Bye{{end}}{{define "content"}}<h1>Bye {{.Site}}</h1>{{end}}`)},
		"sent.html": {Data: []byte(`{{define "title"}}Sent{{end}}{{define "content"}}{{.Locale}} {{.LinkTTL}} {{.CodeTTL}} {{.Text "page.again"}}{{end}}`)},
		"reset.txt": {Data: []byte(`a letter`)},
		"style.css": {Data: []byte("body {\r\n color: red }")},
	}
	h := newHandler(t, o)
	w := get(t, h, "/password-reset/done")
	if !strings.Contains(w.Body.String(), "<h1>Bye &lt;Ex &amp; &#34;ample&#34;&gt;</h1>") {
		t.Errorf("the operator's page is not shown, or not escaped:\n%s", w.Body)
	}
	if !strings.Contains(w.Header().Get("Content-Security-Policy"), "img-src 'self' data:") {
		t.Error("a logo would not load")
	}
	checkHeaders(t, w)
	if strings.Contains(w.Body.String(), "\r") {
		t.Error("the browser would hash other line ends than we do")
	}
	if w = get(t, h, "/password-reset/sent"); !strings.Contains(w.Body.String(), "en 30 minutes 10 minutes Ask for a new mail") {
		t.Errorf("the operator's page lacks what it shows:\n%s", w.Body)
	}
	if w = get(t, h, "/password-reset/pending"); !strings.Contains(w.Body.String(), "takes effect shortly") {
		t.Error("pages that are not replaced are missing")
	}
}

func TestUnknownLanguage(t *testing.T) {
	r := httptest.NewRequest("GET", "https://app.test/password-reset", nil)
	r.Header.Set("Accept-Language", "../../etc/passwd, tlh;q=9, "+strings.Repeat("a-", 5000))
	if w := visit(t, newHandler(t, options(&fakeSite{})), r); w.Code != 200 || w.Header().Get("Content-Language") != "en" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Content-Language"))
	}
}

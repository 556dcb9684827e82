package demo

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

func parse(t *testing.T, address, source string) page {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	return page{url: u, status: 200, doc: doc}
}

func TestForm(t *testing.T) {
	p := parse(t, "https://app.example.com/password-reset/sent", `<title> A   page </title>
<form action="/search"><input name="q"></form>
<FORM METHOD="Post" ACTION="code"><div>
<input name="login" value="al&amp;ice"><input type="hidden" name="kept" value="1"><input name="off" disabled value="2">
<input type="checkbox" name="box" value="3"><input type="checkbox" name="ticked" value="4" checked>
<textarea name="area"> five </textarea><input type="submit" name="go" value="6"><button name="press" value="7">Go</button><input value="8">
</div></FORM>
<form method="post" action="/password-reset/cancel/Ab_c?x=1"></form>`)
	f, err := p.form("/password-reset/code")
	if err != nil {
		t.Fatal(err)
	}
	if f.method != http.MethodPost || f.action.String() != "https://app.example.com/password-reset/code" {
		t.Errorf("%s %s", f.method, f.action)
	}
	want := []field{{"login", "", "al&ice"}, {"kept", "hidden", "1"}, {"ticked", "checkbox", "4"}, {"area", "", "five"}}
	if diff := cmp.Diff(want, f.fields, cmp.AllowUnexported(field{})); diff != "" {
		t.Error(diff)
	}
	if f, err := p.form("/search"); err != nil || f.method != http.MethodGet {
		t.Errorf("%v %v", f, err)
	}
	if _, err := p.form("/password-reset/cancel/"); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/password-reset", "/password-reset/cod", "/password-reset/cancel"} {
		if _, err := p.form(path); err == nil {
			t.Errorf("a form for %s", path)
		}
	}
	if got := p.title(); got != "A page" {
		t.Errorf("title %q", got)
	}
}

func TestLinkAndText(t *testing.T) {
	p := parse(t, "https://app.example.com/login", `<p>One <b>two</b><script>three</script></p><a href="//b.example.com/x">b</a><a href="/password-reset/?a=1">c</a>`)
	if got, err := p.link("/password-reset"); err != nil || got != "https://app.example.com/password-reset/?a=1" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := p.link("/y"); err == nil {
		t.Errorf("link %q", got)
	}
	if got := p.text(); got != "One two b c" {
		t.Errorf("text %q", got)
	}
}

func TestBrowser(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "kept"})
		fmt.Fprint(w, `<form method="post" action="/send"><input type="hidden" name="token" value="t"><input name="x"></form>`)
	})
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Cookie("c")
		target := "/end?" + url.Values{"got": {fmt.Sprint(c, " ", r.PostFormValue("token"), r.PostFormValue("x"), " ", r.Header.Get("Origin") == "http://"+r.Host)}}.Encode()
		http.Redirect(w, r, target, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("got")) })
	server := httptest.NewServer(mux)
	defer server.Close()

	b, err := newBrowser(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.open(t.Context(), server.URL+"/form"); err != nil {
		t.Fatal(err)
	}
	f, err := b.page.form("/send")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.submit(t.Context(), f, map[string]string{"y": "1"}); err == nil {
		t.Error("a value for a field that is not there")
	}
	if err := b.submit(t.Context(), f, map[string]string{"x": "ä&b"}); err != nil {
		t.Fatal(err)
	}
	if got := b.page.text(); got != "c=kept tä&b true" || b.page.status != 200 || b.page.url.Path != "/end" {
		t.Errorf("%q at %s", got, b.page.url)
	}
	server.Close()
	if err := b.open(t.Context(), server.URL+"/link/secret-token"); err == nil || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("got %v", err)
	}
}

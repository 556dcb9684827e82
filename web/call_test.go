package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const theirs = "/theirs/{x}"

// call sends one request to a dialect that does one thing.
func call(t *testing.T, site web.Site, method, body string, do func(*web.Call), header ...string) *httptest.ResponseRecorder {
	t.Helper()
	o, _ := speaking(site, theirs, do)
	r := httptest.NewRequest(method, "https://app.test/theirs/alice", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return visit(t, newHandler(t, o), r)
}

// done answers when a test has what it wanted from a call.
func done(c *web.Call) { c.Answer(http.StatusNoContent, "", nil) }

// Whatever a dialect answers carries what every answer of ours does.
func TestHeadersOfDialects(t *testing.T) {
	o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
		switch c.Param("x") {
		case "follow":
			c.Follow(liveToken)
		case "dead":
			c.Follow("dead")
		case "submit":
			c.Submit(liveToken, goodPassword, goodPassword)
		case "none":
			done(c)
		case "json":
			c.JSON(http.StatusBadRequest, "application/json", map[string]string{"a": "<&>"})
		}
	})
	h := newHandler(t, o)
	for path, want := range map[string]int{
		"/theirs/follow": 200, "/theirs/dead": 410, "/theirs/submit": 303, "/theirs/none": 204, "/theirs/json": 400,
		"/theirs/nothing": http.StatusTeapot, "/theirs/x/": http.StatusTeapot, "/x;/theirs/x": http.StatusTeapot,
	} {
		w := get(t, h, path)
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
		checkSecurity(t, w)
		if n, had := w.Header()["Content-Length"]; had == (want == 204) {
			t.Errorf("%s: Content-Length %q", path, n)
		}
	}
	if w := get(t, h, "/theirs/json"); w.Body.String() != `{"a":"<&>"}` || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s: %s", w.Header().Get("Content-Type"), w.Body)
	}
	if w := get(t, h, "/theirs/none"); w.Header()["Content-Type"] != nil {
		t.Errorf("nothing of type %q", w.Header()["Content-Type"])
	}
}

// checkSecurity is checkHeaders for answers in a form of their own.
func checkSecurity(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	checked := httptest.NewRecorder()
	for name, values := range w.Header() {
		checked.Header()[name] = values
	}
	checked.Header().Set("Content-Type", "any; charset=utf-8")
	checkHeaders(t, checked)
}

// Our own pages work at a dialect's address.
func TestFollowAndSubmit(t *testing.T) {
	site := &fakeSite{}
	o, _ := speaking(site, theirs, func(c *web.Call) {
		if c.Request().Method == http.MethodPost {
			c.Submit(c.Param("x"), "short", c.Query("repeat"))
			return
		}
		c.Follow(c.Param("x"))
	})
	h := newHandler(t, o)
	r := httptest.NewRequest("GET", "https://app.test/theirs/"+liveToken, nil)
	r.Header.Set("Accept", json) // our own page is a page for a program, too
	if page := visit(t, h, r).Body.String(); !strings.Contains(page, `action="/password-reset/new"`) || !strings.Contains(page, liveToken) {
		t.Errorf("no form:\n%s", page)
	}
	dead := get(t, h, "/password-reset/link/dead")
	if w := get(t, h, "/theirs/dead"); w.Code != dead.Code || w.Body.String() != dead.Body.String() {
		t.Errorf("a dead link: %d\n%s", w.Code, w.Body)
	}
	if w := post(t, h, "/theirs/"+liveToken+"?repeat=other", json, ""); w.Code != 422 || len(site.change.Token) > 0 {
		t.Errorf("two passwords: %d, %+v", w.Code, site.change)
	}
	if w := post(t, h, "/theirs/"+liveToken+"?repeat=short", json, ""); w.Code != 422 || !strings.Contains(w.Body.String(), "<form") || site.change.Password != "short" {
		t.Errorf("a short one: %d, %+v", w.Code, site.change)
	}
	if w := post(t, h, "/theirs/dead?repeat=short", form, ""); w.Code != 410 {
		t.Errorf("a dead token: %d", w.Code)
	}
}

func TestReasons(t *testing.T) {
	for _, tt := range []struct {
		language, want string
		result         reset.Result
		err            error
	}{
		{"en", "Too short: use at least 15 characters.", reset.Result{}, &reset.PasswordError{Reasons: []passwords.Reason{{Code: passwords.TooShort, Limit: 15}}}},
		{"en", "Not <b>again</b>", reset.Result{Status: reset.StatusRefused, Detail: "Not\n<b>again</b>"}, nil},
		{"en", "", reset.Result{Status: reset.StatusRefused}, nil},
	} {
		var got string
		call(t, &fakeSite{}, "POST", "", func(c *web.Call) {
			got = c.Reasons(tt.result, tt.err)
			done(c)
		}, "Accept-Language", tt.language)
		if got == "" || !strings.Contains(got, tt.want) {
			t.Errorf("%+v, %v: %q", tt.result, tt.err, got)
		}
	}
}

// Keys are of one site, one dialect and one purpose.
func TestKey(t *testing.T) {
	var purpose string
	o, _ := speaking(nil, theirs, func(c *web.Call) {
		if _, err := c.Key("device"); err != nil {
			t.Error(err)
		}
		done(c)
	})
	o.Open = func(context.Context) (web.Site, func(), error) {
		return listening{&fakeSite{}, &purpose}, func() {}, nil
	}
	get(t, newHandler(t, o), "/theirs/x")
	if purpose != "dialect theirs device" {
		t.Errorf("asked for %q", purpose)
	}
}

// listening is a site that notes what a key is for.
type listening struct {
	*fakeSite
	purpose *string
}

func (l listening) Key(purpose string) [32]byte {
	*l.purpose = purpose
	return [32]byte{}
}

func TestQuery(t *testing.T) {
	o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
		c.Answer(200, vendorMedia, fmt.Appendf(nil, "%q %q", c.Query("a"), c.Query("b")))
	})
	h := newHandler(t, o)
	for query, want := range map[string]string{
		"":                  `"" ""`,
		"?a=1&b=2":          `"1" "2"`,
		"?a=1&a=2":          `"1" ""`,
		"?A=1":              `"" ""`,
		"?a=%31+%2B":        `"1 +" ""`,
		"?a=%zz&b=2":        `"" "2"`,
		"?a=1;b=2":          `"" ""`,
		"?a=%ff":            `"\xff" ""`,
		"?x=%zz&a=1&b=%2":   `"1" ""`,
		"?a[]=1&a.b=2&b[0]": `"" ""`,
	} {
		if got := get(t, h, "/theirs/x"+query).Body.String(); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// What is noted stands in the log, with the dialect's name, after the answer.
func TestNotes(t *testing.T) {
	o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
		c.Note("credential", "key")
		if c.Param("x") == "start" {
			_, _ = c.Start(web.Start{Login: "alice"})
		}
		done(c)
	})
	h := newHandler(t, o)
	for path, want := range map[string]string{
		"/theirs/start":            "[dialect=theirs credential=key reference=R-2345-6789]",
		"/theirs/other":            "[dialect=theirs credential=key]",
		"/theirs/other/" + "alice": "[dialect=theirs]",
		"/password-reset":          "[]",
	} {
		r := httptest.NewRequest("GET", "https://app.test"+path, nil)
		route, _ := h.Route(r)
		h.ServeHTTP(httptest.NewRecorder(), r, route, visitorIP)
		if got := fmt.Sprint(route.LogAttrs()); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

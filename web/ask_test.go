package web_test

import (
	"context"
	stdjson "encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// The answer is the same for every login: status, headers and the length of
// every part.
func TestAskIsUniform(t *testing.T) {
	for _, media := range []string{form, json} {
		var first *httptest.ResponseRecorder
		for _, login := range []string{"alice", "nobody", "a", "victim@app.test", strings.Repeat("x", 254), "d\u00e9j\u00e0", "{env.SECRET}"} {
			site := &fakeSite{}
			body := "login=" + url.QueryEscape(login)
			if media == json {
				b, _ := stdjson.Marshal(map[string]string{"login": login})
				body = string(b)
			}
			w := post(t, newHandler(t, options(site)), "/password-reset", media, body)
			if site.request.Login != login || site.request.ClientIP != visitorIP {
				t.Fatalf("the domain got %+v", site.request)
			}
			if cookie := w.Header().Get("Set-Cookie"); cookie != "" {
				name, rest, _ := strings.Cut(cookie, "=")
				_, attributes, _ := strings.Cut(rest, ";")
				w.Header().Set("Set-Cookie", name+strings.Repeat(".", len(rest)-len(attributes))+attributes)
			}
			if first == nil {
				first = w
				continue
			}
			if w.Code != first.Code || w.Body.String() != first.Body.String() {
				t.Errorf("%.20q: %d %s", login, w.Code, w.Body)
			}
			if diff := cmp.Diff(first.Header(), w.Header()); diff != "" {
				t.Errorf("%.20q: %s", login, diff)
			}
		}
	}
}

func TestAskJSON(t *testing.T) {
	w := post(t, newHandler(t, options(&fakeSite{})), "/password-reset", json, `{"login":"alice","email":"x"}`)
	const want = `{"status":"accepted","reference":"R-2345-6789"}` + "\n"
	if w.Code != 202 || w.Body.String() != want || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Error(got)
	}
}

func TestAskForm(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	w := post(t, h, "/password-reset", form, "login=alice")
	if w.Code != 303 || w.Header().Get("Location") != "/password-reset/sent" {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Location"))
	}
	r := httptest.NewRequest("GET", "https://app.test/password-reset/sent", nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	page := visit(t, h, r).Body.String()
	for _, want := range []string{`value="alice"`, "R-2345-6789", "If an account belongs to"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	page = get(t, h, "/password-reset/sent?login=mallory").Body.String()
	if strings.Contains(page, "R-2345-6789") || strings.Contains(page, "mallory") || !strings.Contains(page, `name="login" type="text" value=""`) {
		t.Error("without a cookie the page is not empty")
	}
}

func TestAskRefusesWhatIsNoLogin(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	w := post(t, h, "/password-reset", form, "login=")
	if w.Code != 422 || !strings.Contains(w.Body.String(), `aria-invalid="true" aria-describedby="error"`) {
		t.Errorf("form: %d", w.Code)
	}
	w = post(t, h, "/password-reset", form, "login="+strings.Repeat("%22%3Cb%3E", 600))
	if w.Code != 422 || strings.Contains(w.Body.String(), "<b>") || !strings.Contains(w.Body.String(), "&#34;&lt;b&gt;") {
		t.Errorf("hostile: %d", w.Code)
	}
	w = post(t, h, "/password-reset", json, `{"login":""}`)
	if w.Code != 422 || !strings.Contains(w.Body.String(), "problem:login") {
		t.Errorf("JSON: %d %s", w.Code, w.Body)
	}
}

func TestCode(t *testing.T) {
	site := &fakeSite{}
	h := newHandler(t, options(site))
	w := post(t, h, "/password-reset/code", form, "login=alice&code="+liveCode)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `name="token" value="`+codeToken+`"`) {
		t.Errorf("right code: %d", w.Code)
	}
	if site.entry.Login != "alice" || site.entry.ClientIP != visitorIP {
		t.Errorf("the domain got %+v", site.entry)
	}
	checkHeaders(t, w)
	for _, body := range []string{"login=alice&code=0", "login=&code=" + liveCode, "login=bob&code="} {
		w = post(t, h, "/password-reset/code", form, body)
		page := w.Body.String()
		login, _, _ := strings.Cut(strings.TrimPrefix(body, "login="), "&")
		if w.Code != 422 || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, `value="`+login+`"`) {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	if w = post(t, h, "/password-reset/code", json, `{"login":"alice","code":"`+liveCode+`"}`); w.Code != 200 || w.Body.String() != `{"token":"`+codeToken+`"}`+"\n" {
		t.Errorf("JSON: %d %s", w.Code, w.Body)
	}
	for _, body := range []string{`{"login":"alice","code":"0"}`, `{"login":"","code":"0"}`} {
		if w = post(t, h, "/password-reset/code", json, body); w.Code != 422 || !strings.Contains(w.Body.String(), "problem:code") {
			t.Errorf("JSON: %d %s", w.Code, w.Body)
		}
	}
}

func TestPolicy(t *testing.T) {
	w := get(t, newHandler(t, options(&fakeSite{})), "/password-reset/policy")
	if want := `{"min_length":15,"max_length":128,"max_bytes":512}` + "\n"; w.Body.String() != want {
		t.Error(w.Body)
	}
}

// Asking by GET does nothing, whatever the query says.
func TestAskByGet(t *testing.T) {
	for _, header := range []string{"", "Purpose", "Sec-Purpose"} {
		site := &fakeSite{}
		r := httptest.NewRequest(http.MethodGet, "https://app.test/password-reset?login=victim@app.test&token=x", nil)
		if header != "" {
			r.Header.Set(header, "prefetch")
		}
		if w := visit(t, newHandler(t, options(site)), r); w.Code != 200 || strings.Contains(w.Body.String(), "victim") || len(site.calls) > 0 {
			t.Errorf("%d, calls %q", w.Code, site.calls)
		}
	}
}

// An instant site takes every request for a mail at once.
type instantSite struct{ web.Site }

func (instantSite) Request(context.Context, reset.Request) (string, error) { return "R-2345-6789", nil }

// A sink is an answer that nobody reads, on a connection without an end.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

func (*sink) SetReadDeadline(time.Time) error  { return nil }
func (*sink) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkAsk measures what all that is HTTP costs a request for a mail: as JSON,
// and as the form, with the page that shows it.
func BenchmarkAsk(b *testing.B) {
	h, err := web.New(options(instantSite{&fakeSite{}}))
	if err != nil {
		b.Fatal(err)
	}
	for _, of := range []struct {
		name, method, media, body string
		status                    int
	}{
		{"JSON", http.MethodPost, json, `{"login":"alice@example.com"}`, http.StatusAccepted},
		{"form", http.MethodPost, form, "login=alice%40example.com", http.StatusSeeOther},
		{"page", http.MethodGet, "", "", http.StatusOK},
	} {
		b.Run(of.name, func(b *testing.B) {
			r := httptest.NewRequest(of.method, "https://app.test/password-reset", nil)
			r.Header.Set("Content-Type", of.media)
			r.ContentLength = int64(len(of.body))
			route, ok := h.Route(r)
			if !ok {
				b.Fatal("passed on")
			}
			w, text := &sink{header: make(http.Header)}, strings.NewReader("")
			body := io.NopCloser(text)
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				text.Reset(of.body)
				r.Body = body
				if h.ServeHTTP(w, r, route, visitorIP); w.status != of.status {
					b.Fatal(w.status)
				}
			}
		})
	}
}

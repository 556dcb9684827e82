package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// A vendor is a dialect of which a test says what it does. Its Fail names the
// fault.
type vendor struct {
	endpoints []web.Endpoint
	check     error
	open      error
	fail      func(*web.Call, web.Fault)
	linkPath  func(token string) string
	wording   reset.Wording
	notes     []web.Note
	faults    []web.Fault
}

const vendorMedia = "application/vendor+json; charset=utf-8"

func (v *vendor) Check() error { return v.check }

func (v *vendor) Open() (web.Contract, error) {
	return web.Contract{Endpoints: v.endpoints, LinkPath: v.linkPath, Wording: v.wording, Notes: v.notes}, v.open
}

func (v *vendor) Fail(c *web.Call, f web.Fault) {
	v.faults = append(v.faults, f)
	if v.fail != nil {
		v.fail(c, f)
		return
	}
	c.Answer(http.StatusTeapot, vendorMedia, []byte("fault "+f))
}

// speaking are the options of a site that speaks one dialect with one endpoint
// for all methods.
func speaking(site web.Site, path string, do func(*web.Call)) (web.Options, *vendor) {
	v := &vendor{endpoints: []web.Endpoint{{Path: path, Methods: map[string]func(*web.Call){
		"GET": do, "HEAD": do, "POST": do, "PUT": do, "OPTIONS": do,
	}}}}
	o := options(site)
	o.Dialects = map[string]web.Dialect{"theirs": v}
	return o, v
}

// say answers in the vendor's words.
func say(text string) func(*web.Call) {
	return func(c *web.Call) { c.Answer(http.StatusOK, vendorMedia, []byte(text)) }
}

// shapes are the paths of four back ends.
var shapes = map[string][]string{
	"first":  {"/v2/{app}/reset/user/{name}", "/v2/{app}/reset/user/{rest...}"},
	"second": {"/user/{name}/password/reset", "/user/password/reset/{token}"},
	"third":  {"/devices", "/users/password"},
	"fourth": {"/api/User/authreset"},
}

// polyglot are the options of a site that speaks four dialects.
func polyglot(site web.Site) web.Options {
	o := options(site)
	o.Dialects = make(map[string]web.Dialect)
	for name, paths := range shapes {
		v := new(vendor)
		for _, path := range paths {
			v.endpoints = append(v.endpoints, web.Endpoint{Path: path, Methods: map[string]func(*web.Call){"GET": say(name), "POST": say(name)}})
		}
		o.Dialects[name] = v
	}
	return o
}

func TestDialectsRefused(t *testing.T) {
	at := func(paths ...string) *vendor {
		v := new(vendor)
		for _, path := range paths {
			v.endpoints = append(v.endpoints, web.Endpoint{Path: path})
		}
		return v
	}
	for _, tt := range []struct {
		name string
		d    *vendor
		mod  func(*web.Options)
		want string
	}{
		{"options", &vendor{check: errors.New("key: it is too short")}, nil, "key: it is too short"},
		{"file", &vendor{open: errors.New("page: no such file")}, nil, "page: no such file"},
		{"no endpoint", at(), nil, "no endpoint"},
		{"empty path", at(""), nil, "slash"},
		{"relative path", at("v1/x"), nil, "slash"},
		{"root", at("/"), nil, "empty and dot segments"},
		{"slash at the end", at("/v1/x/"), nil, "empty and dot segments"},
		{"empty segment", at("/v1//x"), nil, "empty and dot segments"},
		{"dot segment", at("/v1/../x"), nil, "empty and dot segments"},
		{"escape", at("/v1/%20"), nil, "only letters"},
		{"query", at("/v1?x=1"), nil, "only letters"},
		{"star", at("/v1/*"), nil, "only letters"},
		{"brace", at("/v1/{x"), nil, "variable segment"},
		{"no name", at("/v1/{}"), nil, "variable segment"},
		{"rest without a name", at("/v1/{...}"), nil, "variable segment"},
		{"more than a name", at("/v1/{x}y"), nil, "variable segment"},
		{"more behind the rest", at("/v1/{x...}/y"), nil, "nothing can follow"},
		{"the whole site", at("/{x}"), nil, "whole site"},
		{"the whole site in two", at("/{x}/{y}"), nil, "whole site"},
		{"the whole rest", at("/{x...}"), nil, "whole site"},
		{"our pages", at("/v1/x", "/Password-Reset"), nil, "overlap"},
		{"below our pages", at("/password-reset/v1/x"), nil, "overlap"},
		{"our pages by a name", at("/app/{x}"), func(o *web.Options) { o.BaseURL = "https://app.test/app" }, "overlap"},
		{"our pages by its cover", at("/{x}/b/{y}"), func(o *web.Options) { o.Path = "/a/b/c/d" }, "overlap"},
		{"our pages by a rest", at("/app/{x...}"), func(o *web.Options) { o.BaseURL = "https://app.test/app" }, "overlap"},
		{"part of a segment", at("/log{x}"), nil, "letters"},
		{"login page", at("/login"), nil, "login_url"},
		{"login page by its cover", at("/login/{x}"), nil, "login_url"},
		{"change page", at("/me/{x}/password"), func(o *web.Options) { o.ChangePassword = "https://app.test/me/1/password?x" }, "change_password"},
		{"another dialect", at("/v1/x"), func(o *web.Options) { o.Dialects["also"] = at("/V1/X") }, "of the dialect also"},
		{"another dialect by a name", at("/v1/{x}/forgot"), func(o *web.Options) { o.Dialects["also"] = at("/v1/users/{y}") }, "of the dialect also"},
		{"another dialect by a rest", at("/v1/x"), func(o *web.Options) { o.Dialects["also"] = at("/v1/{y...}") }, "of the dialect also"},
		{"the rest of another dialect", at("/v1/x/{y...}"), func(o *web.Options) { o.Dialects["also"] = at("/v1/x") }, "of the dialect also"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(&fakeSite{})
			o.Dialects = map[string]web.Dialect{"theirs": tt.d}
			if tt.mod != nil {
				tt.mod(&o)
			}
			_, err := web.New(o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "dialect theirs: ") {
				t.Errorf("the dialect is not named in: %v", err)
			}
		})
	}
}

func TestDialectsAccepted(t *testing.T) {
	o := polyglot(&fakeSite{})
	o.BaseURL = "https://app.test:8443/app"
	o.LoginURL = "/user/login"
	o.ChangePassword = "/user/alice/password"
	newHandler(t, o)
}

// Dialects are not under the path of the base URL.
func TestDialectsAreAtTheRoot(t *testing.T) {
	o, _ := speaking(&fakeSite{}, "/v1/x", say("here"))
	o.BaseURL = "https://app.test/app"
	h := newHandler(t, o)
	if status, _ := routed(t, h, "/v1/x"); status != 200 {
		t.Errorf("at the root: %d", status)
	}
	if status, _ := routed(t, h, "/app/v1/x"); status != 299 {
		t.Errorf("under the base URL: %d", status)
	}
}

// spellings are ways to write a path that some server takes for it.
func spellings(path string) []string {
	var list []string
	add := func(s string) { list = append(list, s) }
	add(path + "/")
	add(path + "//")
	add(path + "/.")
	add(path + "/x/..")
	add(path + ";a=b")
	add(path + "/;a=b")
	add(path + "%00")
	add(path + "%00.html")
	add(path + "%2f")
	add(path + "%2f..")
	add(path + "%23")
	add(path + "%3fx")
	add(path + "%20")
	add(path + ".")
	add("/.." + path)
	add("/..;" + path)
	add("/x/.." + path)
	add("/x/..;" + path)
	add("/x%2f.." + path)
	add("/%2e%2e" + path)
	add("/;" + path)
	add("/x;" + path)
	add(strings.ToUpper(path))
	add(strings.ReplaceAll(path, "/", "//"))
	add("/" + strings.ReplaceAll(path[1:], "/", "%2f"))
	add("/" + strings.ReplaceAll(path[1:], "/", "%2F"))
	add("/" + strings.ReplaceAll(path[1:], "/", "%252f"))
	add("/" + strings.ReplaceAll(path[1:], "/", `\`))
	add("/" + strings.ReplaceAll(path[1:], "/", "%5c"))
	add("/" + strings.ReplaceAll(path[1:], "/", "%00"))
	add("/" + strings.ReplaceAll(path[1:], "/", "/./"))
	add("/" + strings.ReplaceAll(path[1:], "/", "/x/../"))
	add("/" + strings.ReplaceAll(path[1:], "/", ";x/"))
	add("/" + strings.ReplaceAll(path[1:], "/", "/;x/"))
	add("/" + strings.ReplaceAll(path[1:], "/", "/%2e/"))
	add("/" + strings.ReplaceAll(path[1:], "/", "/%2e%2e/"))
	for i := 1; i < len(path); i++ {
		switch path[i] {
		case '/':
			for _, joint := range []string{"//", "/./", "/x/../", "/;x/", ";x/", "%2f", "%5c", `\`, "/%2e/", "/..;/"} {
				add(path[:i] + joint + path[i+1:])
			}
		case 's':
			add(path[:i] + "%C5%BF" + path[i+1:])
		case 'k':
			add(path[:i] + "%E2%84%AA" + path[i+1:])
		}
		if path[i] != '/' {
			const hex = "0123456789abcdef"
			escape := string([]byte{hex[path[i]>>4], hex[path[i]&15]})
			add(path[:i] + "%" + escape + path[i+1:])
			add(path[:i] + "%25" + escape + path[i+1:])
		}
	}
	return list
}

// What any server might take for a path of a dialect does not reach the app,
// and is answered in the vendor's form, by an endpoint or by Fail.
func TestSpellingsOfADialectAreNeverPassedOn(t *testing.T) {
	h := newHandler(t, polyglot(&fakeSite{}))
	for _, paths := range shapes {
		for _, path := range paths {
			for _, variable := range []string{"{app}", "{name}", "{token}", "{rest...}"} {
				path = strings.ReplaceAll(path, variable, "alice")
			}
			all := append(spellings(path), path)
			if strings.Contains(path, "alice") {
				// In the place of a name: what one server drops and another keeps.
				for _, nothing := range []string{".", "..", "", ";x", ".;x", "..;x", "%2e", "%2E%2e", "%2f", "%5c", "%00", "a%2f..", "%252e"} {
					for _, end := range []string{"", "/", ";x"} {
						all = append(all, strings.Replace(path, "alice", nothing, 1)+end)
					}
				}
			}
			for _, spelling := range all {
				u, err := url.ParseRequestURI(spelling)
				if err != nil {
					continue // no server gets this far
				}
				r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
				r.URL = u
				w := httptest.NewRecorder()
				handle(h).ServeHTTP(w, r)
				if w.Header().Get("Content-Type") != vendorMedia {
					t.Errorf("%s for %s: %d %s", spelling, path, w.Code, w.Body)
				}
			}
		}
	}
}

// Paths near those of a dialect are the app's.
func TestNearPathsAreTheApps(t *testing.T) {
	h := newHandler(t, polyglot(&fakeSite{}))
	for _, path := range []string{
		"/v2", "/v2/a", "/v2/a/reset", "/v2/a/reset/users/b", "/v22/a/reset/user/b", "/x/v2/a/reset/user/b", "/v2/a/b/reset/user/c",
		"/user", "/user/alice", "/user/alice/password", "/user/alice/password/reset/x", "/user/alice/password/resets", "/user/password",
		"/devices/current", "/device", "/devicesx", "/users", "/users/passwords", "/users/password/x", "/users//passwords", "/users/./x/password",
		"/api/User", "/api/User/authresets", "/api/User/authreset/x", "/User/authreset", "/api/User/auth%20reset",
	} {
		if status, _ := routed(t, h, path); status != 299 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// Our own pages come before a dialect, a dialect before paths that are taken
// over.
func TestDialectAmongOthers(t *testing.T) {
	o, _ := speaking(&fakeSite{}, "/{app}/forgot/{x}", say("theirs"))
	o.Path = "/reset"
	o.TakeOver = []string{"/a*", "/forgot*"}
	h := newHandler(t, o)
	for path, want := range map[string]string{
		"/reset":             "200",
		"/reset/sent":        "200",
		"/reset/forgot/x":    "404",
		"/reset%2fforgot/x":  "404",
		"/reset%2fsent":      "404",
		"/Reset;/forgot/x":   "404",
		"/a/forgot/x":        "200 theirs",
		"/forgot/forgot/x":   "200 theirs",
		"/forgot/forgot%2Fx": "418 theirs",
		"/a/forgot/x/":       "418 theirs",
		"/a/forgot/x/y":      "418 theirs",
		"/a/forgot":          "418 theirs",
		"/b/forgot;/x":       "418 theirs",
		"/a/forget/x":        "302",
		"/forgot":            "302",
		"/forgot/x":          "302",
	} {
		w := ask(t, h, path)
		got := strconv.Itoa(w.Code)
		if w.Header().Get("Content-Type") == vendorMedia {
			got += " theirs"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestDialectLinks(t *testing.T) {
	o := options(&fakeSite{})
	o.BaseURL = "https://app.test:8443/app"
	own := &vendor{
		endpoints: []web.Endpoint{{Path: "/their/link/{token}"}},
		linkPath:  func(token string) string { return "/their/link/" + token },
		wording:   reset.Wording{Text: "$link$"},
		notes:     []web.Note{{Text: "a note"}},
	}
	o.Dialects = map[string]web.Dialect{"own": own, "plain": &vendor{endpoints: []web.Endpoint{{Path: "/v1/x"}}}}
	h := newHandler(t, o)
	for dialect, want := range map[string]string{
		"":       "https://app.test:8443/app/password-reset/link/t-1",
		"plain":  "https://app.test:8443/app/password-reset/link/t-1",
		"former": "https://app.test:8443/app/password-reset/link/t-1",
		"own":    "https://app.test:8443/their/link/t-1",
	} {
		if got := h.Link(dialect, "t-1"); got != want {
			t.Errorf("%q: %s, want %s", dialect, got, want)
		}
	}
	if c := h.Contracts(); len(c) != 2 || c["own"].Wording != own.wording || len(c["own"].Notes) != 1 || c["plain"].Notes != nil {
		t.Errorf("contracts: %+v", c)
	}
}

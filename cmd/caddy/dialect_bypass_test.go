package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// However the calls of a dialect are written, the app never sees one: it may
// still have the routes that these clients called before. What is refused is
// refused in JSON, which is all that they can read.
func TestDialectCallsAreOutOfReachOfTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var app sync.Map // what it has seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hooks/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		app.Store(r.Method+" "+r.RequestURI, true)
	}))
	t.Cleanup(server.Close)
	w.Env["RESET_APP"] = strings.TrimPrefix(server.URL, "http://")
	w.speak(openDialects)
	w.start()

	var targets []string
	people := make(map[string]bool) // open these, in HTML
	for _, path := range []string{
		"/v2/app/reset/user/bob", "/user/bob/password/reset", "/user/password/reset/token", "/user/password/reset/token.json",
		"/users/password", "/devices", "/api/User/authreset",
	} {
		first, rest, _ := strings.Cut(path[1:], "/")
		last := path[strings.LastIndexByte(path, '/')+1:]
		before := strings.TrimSuffix(path, last)
		spellings := []string{
			path, path + "?x=1", path + "?", path + "/", path + "//", "/" + path, "/." + path, "/x/.." + path, "/x/..%2f" + path[1:], "/x%2f.." + path, "/x;y/.." + path,
			"/..;" + path, ";" + path, "/;" + path, path + ";jsessionid=1", "/" + first + ";x/" + rest, strings.ToUpper(path), strings.ToLower(path),
			before + "/" + last, before + "./" + last, before + "x/../" + last, before + "x/..;/" + last, before + `x\..\` + last, before + "x%2f..%2f" + last, before + "x%5c..%5c" + last,
			"/" + first + "%2f" + rest, "/" + first + "%252f" + rest, "/%" + hexOf(first[0]) + first[1:] + strings.TrimPrefix(path, "/"+first),
			before + "%" + hexOf(last[0]) + last[1:], path + "%00", path + "%20", path + "%2f", path + "/.", path + "/%2e%2e/" + last, strings.ReplaceAll(path, "/", `\`), "/" + strings.ReplaceAll(path[1:], "/", `\`),
			"x:" + path[1:], "x:%2f" + path[1:], w.Site + path, w.Site + "/" + strings.ToUpper(path),
		}
		for _, target := range spellings {
			people[target] = strings.HasPrefix(path, "/user/password/reset/")
		}
		targets = append(targets, spellings...)
	}
	visitor := 0
	for _, target := range targets {
		for _, method := range []string{"GET", "POST", "PATCH", "OPTIONS", "BREW"} {
			visitor++
			r := w.do(method, target, "", from(visitor)...)
			if r.Status >= 500 && r.Status != http.StatusServiceUnavailable {
				t.Errorf("%s %s: status %d", method, target, r.Status)
			}
			// A target without a slash is in no dialect.
			inJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && json.Valid([]byte(r.Body))
			page := people[target] && r.Header.Get("Content-Type") == "text/html; charset=utf-8"
			if target[0] == '/' && r.Status >= 400 && !inJSON && !page {
				t.Errorf("%s %s: status %d with %q", method, target, r.Status, r.Body)
			}
			if r.Status >= 300 && r.Status < 400 {
				t.Errorf("%s %s leads to %s", method, target, r.Header.Get("Location"))
			}
		}
	}
	app.Range(func(request, _ any) bool {
		t.Errorf("the app saw %s", request)
		return true
	})

	// What is not a dialect's is still the app's.
	for _, target := range []string{"/user/bob", "/users", "/users/password-hints", "/devices/current", "/api/User/authpsw", "/v2/app/users", "/user"} {
		w.do("GET", target, "")
		if _, ok := app.Load("GET " + target); !ok {
			t.Errorf("the app did not see its own %s", target)
		}
	}
}

func hexOf(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// However the app's own reset page is written in a request, the app never sees
// one for it: not as it is, not as a lenient server might read it.
func TestAppsOwnResetIsOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var seen []string
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.RequestURI)
	}))
	t.Cleanup(app.Close)
	w.Env["RESET_APP"] = strings.TrimPrefix(app.URL, "http://")
	w.start()

	for _, target := range []string{
		"/forgot-password", "/FORGOT-PASSWORD", "//forgot-password", "/./forgot-password", "/x/../forgot-password",
		"/forgot-password/", "/forgot-password;jsessionid=1", "/forgot-password.json", "/forgot-password%20", "/forgot-password.",
		"/forgot-password%00", "/x%2f..%2fforgot-password", "/forgot-password%2f..", "/x;/forgot-password", "/..;/forgot-password",
		"/forgot%2Dpassword", "/forgot%252Dpassword", "/forgot-pa%C5%BF%C5%BFword", `/x\..\forgot-password`,
		"x:forgot-password", "x:%2fforgot-password", "http:%2fforgot-password", "x:%2fhooks/lookup",
		w.Site + "/forgot-password", w.Site + "//FORGOT-password/x",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, "FOO"} {
			r := w.do(method, target, "")
			if r.Status < 300 || r.Status >= 500 {
				t.Errorf("%s %s: status %d", method, target, r.Status)
			}
		}
	}
	if len(seen) > 0 {
		t.Errorf("the app saw %q", seen)
	}
	if w.do(http.MethodGet, "/forgotten", ""); len(seen) != 1 {
		t.Errorf("the test tests nothing: the app saw %q", seen)
	}
}

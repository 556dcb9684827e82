package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// admit tells whether the page that made a browser send the request may do so,
// and tells the browser (Fetch standard, CORS protocol). Credentials are never
// allowed.
func (x *exchange) admit(origins []string) bool {
	if origins == nil {
		return x.foreign.Check(x.r) == nil
	}
	h := x.w.Header()
	if slices.Contains(origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	}
	h.Add("Vary", "Origin")
	origin := x.r.Header.Get("Origin")
	if slices.Contains(origins, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		return true
	}
	return x.foreign.Check(x.r) == nil
}

// isIdle tells a GET that nobody asked for: a browser that fetches ahead, or
// an image, frame or link in a page of another site.
func isIdle(h http.Header) bool {
	purpose := cmp.Or(h.Get("Sec-Purpose"), h.Get("Purpose"), h.Get("X-Moz"))
	if strings.Contains(string(fold([]byte(purpose))), "prefetch") {
		return true
	}
	return h.Get("Sec-Fetch-Site") == "cross-site" && h.Get("Sec-Fetch-Mode") != "cors"
}

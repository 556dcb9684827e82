package web

import (
	"net/http"
	"slices"
)

// admit tells whether the page that made a browser send the request may do so,
// and tells the browser (Fetch standard, CORS protocol). Credentials are never
// allowed. OPTIONS is open to all: a page that may not call learns nothing from
// an answer that does not name its origin.
func (x *exchange) admit(origins []string) bool {
	h, origin := x.w.Header(), x.r.Header.Get("Origin")
	switch {
	case slices.Contains(origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	case origins != nil:
		h.Add("Vary", "Origin")
		if origin != "" && slices.Contains(origins, origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			return true
		}
	}
	if x.r.Method == http.MethodOptions {
		return true
	}
	if origin == "" {
		return x.foreign.Check(x.r) == nil
	}
	// Scripts send an Origin, links do not. What is no harm as a GET elsewhere
	// may start a reset here.
	judged := *x.r
	judged.Method = http.MethodPost
	return x.foreign.Check(&judged) == nil
}

package caddymodule

import (
	"encoding/json"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// serveCheck walks the way of the running configuration and writes a finding a
// line, as they come (application/x-ndjson).
func serveCheck(w http.ResponseWriter, r adminRequest) error {
	var only, to, selector string
	if r.ContentLength != 0 {
		members := map[string]*string{"site": &only, "to": &to, "dkim_selector": &selector}
		if err := r.read(w, members, `{"site": "…", "to": "…", "dkim_selector": "…"}, any of them, or nothing`); err != nil {
			return err
		}
	}
	if only != "" {
		var err error
		if only, err = r.app.oneSite(only); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	c := &checkup{
		seated: r.seated, to: to, selector: selector,
		tell: func(f adminapi.Finding) {
			_ = lines.Encode(f) // whoever has gone sees no more
			_ = flush.Flush()
		},
	}
	c.run(r.Context(), only)
	return nil
}

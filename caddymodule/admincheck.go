package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

// serveCheck walks the way of the running configuration and writes a finding a
// line, as they come (application/x-ndjson).
func serveCheck(w http.ResponseWriter, r adminRequest) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdminBody))
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading body: %w", err)}
	}
	var only, to, selector string
	if len(body) > 0 {
		o, err := strictjson.Parse(body)
		if err == nil {
			err = errors.Join(unmarshal(o, "site", &only), unmarshal(o, "to", &to), unmarshal(o, "dkim_selector", &selector))
		}
		if err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf(`body: %w; write {"site": "…", "to": "…"}, or nothing`, err)}
		}
	}
	if only != "" {
		if only, err = r.app.oneSite(only); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	c := &checkup{
		app: r.app, running: r.running, inUse: r.inUse, trust: trustOf(r.config), to: to,
		selector: selector, resolver: net.DefaultResolver,
		tell: func(f shownFinding) {
			_ = lines.Encode(f) // whoever has gone sees no more
			_ = flush.Flush()
		},
	}
	c.run(r.Context(), only)
	return nil
}

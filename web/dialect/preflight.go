package dialect

import (
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// preflight answers OPTIONS with what a page may send.
func preflight(c *web.Call, methods, headers string) {
	allow(c, methods, headers)
	c.Answer(http.StatusNoContent, "", nil)
}

// allow says what a page may send (Fetch standard, CORS-preflight request). A
// page that may send nothing learns of neither: the handler has named the
// origin before, or has not.
func allow(c *web.Call, methods, headers string) {
	if h := c.Header(); h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", headers)
	}
}

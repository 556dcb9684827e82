package dialect

import (
	"errors"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Acme speaks the reset call of Acme's API:
//
//	POST /acme/forgot/{user}
type Acme struct {
	// APIKeys are the keys that clients may show in X-Acme-Key. One that shows
	// none is answered 401. Default: none, and the header is not looked at.
	APIKeys []string `json:"api_key,omitempty" usage:"api_key {env.ACME_API_KEY}" secret:"true"`
}

func newAcme() web.Dialect { return new(Acme) }

// Check implements [web.Dialect].
func (a *Acme) Check() error {
	for _, key := range a.APIKeys {
		if key == "" {
			return errors.New("api_key: an empty one would let everybody in")
		}
	}
	return nil
}

// Open implements [web.Dialect].
func (a *Acme) Open() (web.Contract, error) {
	return web.Contract{Endpoints: []web.Endpoint{{
		Path:    "/acme/forgot/{user}",
		Methods: map[string]func(*web.Call){http.MethodPost: a.start},
	}}}, nil
}

// Fail implements [web.Dialect].
func (a *Acme) Fail(c *web.Call, f web.Fault) {
	switch f {
	case web.FaultUnknown:
		a.answer(c, http.StatusNotFound, "not found")
	case web.FaultMethod:
		c.Header().Set("Allow", c.Allow())
		a.answer(c, http.StatusMethodNotAllowed, "method not allowed")
	case web.FaultInternal:
		a.answer(c, http.StatusInternalServerError, "internal error")
	default:
		a.answer(c, http.StatusBadRequest, "bad request")
	}
}

func (a *Acme) start(c *web.Call) {
	if len(a.APIKeys) > 0 {
		if !among(c.Request().Header.Get("X-Acme-Key"), a.APIKeys) {
			a.answer(c, http.StatusUnauthorized, "unauthorized")
			return
		}
		c.Trust()
	}
	switch _, err := c.Start(web.Start{Login: c.Param("user")}); {
	case err == nil:
		a.answer(c, http.StatusOK, "ok")
	case errors.Is(err, reset.ErrLogin):
		a.answer(c, http.StatusBadRequest, "bad user")
	default:
		a.answer(c, http.StatusServiceUnavailable, "unavailable")
	}
}

func (a *Acme) answer(c *web.Call, status int, text string) {
	c.JSON(status, "application/json", struct {
		Status string `json:"status"`
	}{text})
}

package dialect

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Catalyze speaks the reset route of Catalyze's API, version 2:
//
//	GET /v2/{appId}/reset/user/{username}
//
// It answers 200 with an empty object for every user name, and an error with a
// document {"errors":[{"message","code"}]} whose code is the status. No body is
// ever empty: clients parse it before they look at the status. The header
// Authorization is never looked at, as a person who forgot the password has no
// session, and clients send a stale one or "Bearer (null)".
//
// Nothing public describes the original's mail and page. They are ours.
type Catalyze struct {
	// Path is what stands before {appId}, as clients call it. Default: /v2.
	Path string `json:"path,omitempty" usage:"path /v2"`

	// AppID is the only {appId} that is served; others are answered 404.
	// Default: any.
	AppID string `json:"app_id,omitempty" usage:"app_id 4f1c6d2e-app"`

	// APIKeys are the keys that clients may show, each the third part of
	// X-Api-Key: "browser <identifier> <key>". One that shows none is answered
	// 401, whatever the user name. The limits by address are fifty times
	// as large for one that does. Default: none, and the header
	// is not looked at.
	APIKeys []string `json:"api_key,omitempty" usage:"api_key {env.CATALYZE_API_KEY}" secret:"true"`

	// Origins are the origins whose pages may call, "*" for all. Default: *.
	Origins []string `json:"origins,omitempty" usage:"origins https://app.example.com"`
}

func newCatalyze() web.Dialect { return &Catalyze{Path: "/v2", Origins: []string{"*"}} }

// A catalyzeError is the document of an error. Its keys are in the order of the
// vendor's guides.
type catalyzeError struct {
	Errors [1]struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
	} `json:"errors"`
}

// Check implements [web.Dialect].
func (d *Catalyze) Check() error {
	if err := web.CheckPath(d.Path); err != nil {
		return err
	}
	for _, key := range d.APIKeys {
		// An empty one would let in whoever sends two parts and a space.
		if key == "" || strings.Contains(key, " ") {
			return errors.New("api_key: write the third part of X-Api-Key alone, without spaces")
		}
	}
	return web.CheckOrigins(d.Origins)
}

// Open implements [web.Dialect].
func (d *Catalyze) Open() (web.Contract, error) {
	user := mount(d.Path) + "/{appId}/reset/user/"
	return web.Contract{Endpoints: []web.Endpoint{
		{
			Path:    user + "{username}",
			Methods: map[string]func(*web.Call){http.MethodGet: d.start, http.MethodOptions: d.preflight},
			Origins: d.Origins,
		},
		// No name, more segments than one, or a slash at the end: an app behind
		// might take it for the previous route.
		{Path: user + "{rest...}", Origins: d.Origins},
	}}, nil
}

// Fail implements [web.Dialect].
func (d *Catalyze) Fail(c *web.Call, f web.Fault) {
	switch f {
	case web.FaultRequest:
		d.refuse(c, http.StatusBadRequest, "Bad request.")
	case web.FaultForeign:
		d.refuse(c, http.StatusForbidden, "Insufficient privileges to perform the requested action.")
	case web.FaultUnknown:
		d.refuse(c, http.StatusNotFound, "Not found.")
	case web.FaultMethod:
		c.Header().Set("Allow", c.Allow())
		d.refuse(c, http.StatusMethodNotAllowed, "Method not allowed.")
	default:
		d.refuse(c, http.StatusInternalServerError, "Internal server error.")
	}
}

func (d *Catalyze) start(c *web.Call) {
	if d.AppID != "" && c.Param("appId") != d.AppID {
		c.Note("refused", "app_id")
		d.refuse(c, http.StatusNotFound, "Application not found.")
		return
	}
	if len(d.APIKeys) > 0 {
		if !d.isKey(c.Request().Header.Get("X-Api-Key")) {
			c.Note("refused", "api_key")
			d.refuse(c, http.StatusUnauthorized, "Invalid API key.")
			return
		}
		c.Trust()
	}
	_, err := c.Start(web.Start{Login: c.Param("username")})
	switch {
	case err == nil:
		c.JSON(http.StatusOK, "application/json", struct{}{})
	case errors.Is(err, reset.ErrLogin):
		d.refuse(c, http.StatusBadRequest, "Invalid username.")
	default:
		c.RetryAfter(time.Second)
		d.refuse(c, http.StatusServiceUnavailable, "Service unavailable.")
	}
}

func (d *Catalyze) preflight(c *web.Call) {
	c.AllowPages("GET", "x-api-key, authorization, accept")
	c.Answer(http.StatusNoContent, "", nil)
}

// isKey tells whether the value of X-Api-Key holds a key that is listed.
func (d *Catalyze) isKey(value string) bool {
	parts := strings.Split(value, " ")
	return len(parts) == 3 && parts[1] != "" && among(parts[2], d.APIKeys)
}

func (d *Catalyze) refuse(c *web.Call, status int, message string) {
	var doc catalyzeError
	doc.Errors[0].Message, doc.Errors[0].Code = message, status
	c.JSON(status, "application/json", doc)
}

var _ web.Dialect = (*Catalyze)(nil)

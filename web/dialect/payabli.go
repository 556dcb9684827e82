package dialect

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	payabliMedia = "application/json"

	// payabliInvalid is the vendor's code for an invalid value of a parameter.
	payabliInvalid = 3003
)

// Payabli speaks the reset call of Payabli's API:
//
//	POST /api/User/authreset {"email","entry","entryType"}
//
// It answers {"isSuccess":true,"responseText":"Success"} for every address, and
// "Declined" to nobody. Every answer is JSON, and who asks too often is told
// "Success" too: the vendor's clients repeat 408, 429 and 5xx up to twice.
//
// Entry and entryType say which of the vendor's front ends a request comes
// from. They are checked as the vendor documents them, and not used.
//
// Nothing public describes the original's mail and page. They are ours.
type Payabli struct {
	// Path is what stands before /User/authreset, as clients call it: the path
	// of their base URL. Default: /api.
	Path string `json:"path,omitempty" usage:"path /api"`

	// RequestTokens are the API tokens that clients may show, in requestToken
	// or as a Bearer token in Authorization. One that shows none is answered
	// 401, whatever the address. The limits by address are
	// fifty times as large for one that does. Default: none, and neither header is looked at.
	RequestTokens []string `json:"request_token,omitempty" usage:"request_token {env.PAYABLI_TOKEN}" secret:"true"`

	// Origins are the origins whose pages may call, "*" for all. Default: none
	// but this site's own.
	Origins []string `json:"origins,omitempty" usage:"origins https://app.example.com"`
}

func newPayabli() web.Dialect { return &Payabli{Path: "/api"} }

// A payabliAnswer is every answer, its keys in the order of the vendor's types.
type payabliAnswer struct {
	IsSuccess    bool         `json:"isSuccess"`
	ResponseCode int          `json:"responseCode,omitempty"`
	ResponseText string       `json:"responseText"`
	ResponseData *payabliData `json:"responseData,omitempty"`
}

// A payabliData explains an error.
type payabliData struct {
	Explanation string `json:"explanation"`
}

// Check implements [web.Dialect].
func (d *Payabli) Check() error {
	if err := web.CheckPath(d.Path); err != nil {
		return err
	}
	for _, token := range d.RequestTokens {
		// An empty one would let in whoever sends none.
		if token == "" || strings.Contains(token, " ") {
			return errors.New("request_token: write a token as clients send it, without `Bearer` and spaces")
		}
	}
	return web.CheckOrigins(d.Origins)
}

// Open implements [web.Dialect].
func (d *Payabli) Open() (web.Contract, error) {
	return web.Contract{Endpoints: []web.Endpoint{{
		Path:    mount(d.Path) + "/User/authreset",
		Methods: map[string]func(*web.Call){http.MethodPost: d.start, http.MethodOptions: d.preflight},
		Origins: d.Origins,
	}}}, nil
}

// Fail implements [web.Dialect].
func (d *Payabli) Fail(c *web.Call, f web.Fault) {
	switch f {
	case web.FaultRequest:
		d.invalid(c, http.StatusBadRequest, nil)
	case web.FaultForeign:
		d.refuse(c, http.StatusForbidden, "Forbidden")
	case web.FaultUnknown:
		d.refuse(c, http.StatusNotFound, "Not found")
	case web.FaultMethod:
		c.Header().Set("Allow", "POST, OPTIONS")
		d.refuse(c, http.StatusMethodNotAllowed, "Method not allowed")
	default:
		d.refuse(c, http.StatusInternalServerError, "Internal API Error")
	}
}

func (d *Payabli) start(c *web.Call) {
	if len(d.RequestTokens) > 0 {
		if !d.isKnown(c.Request().Header) {
			c.Note("refused", "request_token")
			d.refuse(c, http.StatusUnauthorized, "Unauthorized")
			return
		}
		c.Trust()
	}
	// Content-Type is not looked at: a form is no JSON, and the vendor documents
	// no 415.
	body, fault := c.Body()
	if fault == web.FaultTooLarge {
		d.invalid(c, http.StatusRequestEntityTooLarge, nil)
		return
	}
	o, err := strictjson.Parse(body)
	if fault != "" || err != nil || !isEntry(o["entry"], o["entryType"]) {
		d.invalid(c, http.StatusBadRequest, nil)
		return
	}
	// The vendor allows 320 characters, mail 254 (RFC 3696 erratum 1690).
	email, ok := o.Text("email")
	if !ok || reset.ValidAddress(email) != nil {
		d.noEmail(c)
		return
	}
	_, err = c.Start(web.Start{Login: email})
	switch {
	case err == nil:
		c.JSON(http.StatusOK, payabliMedia, payabliAnswer{IsSuccess: true, ResponseText: "Success"})
	case errors.Is(err, reset.ErrLogin):
		d.noEmail(c)
	default:
		// The vendor's Go client waits for twice as long, and then for as long
		// again.
		c.RetryAfter(time.Second)
		d.refuse(c, http.StatusServiceUnavailable, "Database connection error")
	}
}

func (d *Payabli) preflight(c *web.Call) {
	c.AllowPages("POST", "content-type, requesttoken, authorization")
	c.Answer(http.StatusNoContent, "", nil)
}

// isKnown tells whether a header shows a token that is listed. Newer clients
// prefer Authorization.
func (d *Payabli) isKnown(h http.Header) bool {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return among(h.Get("requestToken"), d.RequestTokens) ||
		reset.Fold(scheme) == "bearer" && among(token, d.RequestTokens)
}

// invalid answers a body that is not what the vendor documents.
func (d *Payabli) invalid(c *web.Call, status int, data *payabliData) {
	c.JSON(status, payabliMedia, payabliAnswer{
		ResponseCode: payabliInvalid, ResponseText: "Invalid parameter value in request", ResponseData: data,
	})
}

// noEmail answers a body whose address is missing or is none.
func (d *Payabli) noEmail(c *web.Call) {
	d.invalid(c, http.StatusBadRequest, &payabliData{Explanation: "email is missing or not a valid email address"})
}

func (d *Payabli) refuse(c *web.Call, status int, text string) {
	c.JSON(status, payabliMedia, payabliAnswer{ResponseText: text})
}

// isEntry tells whether an entry point is described as the vendor documents it:
// entry is text, entryType 0 or 2, and with an entry comes its type. A null is
// nothing, as serializers send it for what is not set.
func isEntry(entry, kind json.RawMessage) bool {
	switch string(kind) {
	case "0", "2":
	case "", "null":
		kind = nil
	default:
		return false
	}
	switch {
	case len(entry) == 0 || string(entry) == "null":
		return true
	case entry[0] != '"':
		return false
	}
	return kind != nil
}

var _ web.Dialect = (*Payabli)(nil)

package dialect

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	baasboxJSON = "application/json; charset=utf-8"

	// maxBaasboxEcho bounds in bytes what of a request is sent back, each
	// value by itself; a name of 254 characters in escapes fits.
	maxBaasboxEcho = 4 << 10
	// maxBaasboxValues bounds how often a header is sent back.
	maxBaasboxValues = 8
)

// A baasboxOK is the document of success. The keys of all documents are in the
// order of the original's.
type baasboxOK struct {
	CallID   string `json:"call_id,omitempty"`
	Result   string `json:"result"`
	Data     string `json:"data"`
	HTTPCode int    `json:"http_code"`
}

// A baasboxError is the document of an error.
type baasboxError struct {
	Result        string         `json:"result"`
	Message       string         `json:"message"`
	Resource      string         `json:"resource"`
	Method        string         `json:"method"`
	RequestHeader baasboxHeaders `json:"request_header"`
	APIVersion    string         `json:"API_version"`
	CallID        string         `json:"call_id,omitempty"`
	HTTPCode      int            `json:"http_code,omitempty"`
}

// baasboxHeaders are the headers of a request that are sent back. The original
// sends all: cookies, sessions and authorisation of the person and of the proxy
// in front of it.
type baasboxHeaders struct {
	Accept         []string `json:"Accept,omitempty"`
	AcceptEncoding []string `json:"Accept-Encoding,omitempty"`
	AcceptLanguage []string `json:"Accept-Language,omitempty"`
	ContentType    []string `json:"Content-Type,omitempty"`
	Host           []string `json:"Host,omitempty"`
	UserAgent      []string `json:"User-Agent,omitempty"`
	AppCode        []string `json:"X-BAASBOX-APPCODE,omitempty"`
}

// Fail implements [web.Dialect].
func (b *BaasBox) Fail(c *web.Call, f web.Fault) {
	e := b.newError(c, http.StatusNotFound, "API not found")
	switch f {
	case web.FaultUnknown, web.FaultMethod:
	case web.FaultRequest:
		e.HTTPCode, e.Message = http.StatusBadRequest, "Bad request"
	case web.FaultForeign:
		e.HTTPCode, e.Message = http.StatusForbidden, "Requests from pages of other sites are not accepted"
	default:
		e.HTTPCode, e.Message = http.StatusInternalServerError, "Internal server error"
	}
	if !b.isStart(e.Resource) {
		e.Resource = b.linkPath("{token}")
	}
	c.JSON(e.HTTPCode, baasboxJSON, e)
}

func (b *BaasBox) succeed(c *web.Call) {
	c.JSON(http.StatusOK, baasboxJSON, baasboxOK{CallID: baasboxCallID(c), Result: "ok", HTTPCode: http.StatusOK})
}

func (b *BaasBox) refuse(c *web.Call, status int, message string) {
	e := b.newError(c, status, message)
	if status == http.StatusBadRequest {
		e.HTTPCode = 0 // the original's way
	}
	c.JSON(status, baasboxJSON, e)
}

func (b *BaasBox) newError(c *web.Call, status int, message string) baasboxError {
	r := c.Request()
	return baasboxError{
		Result:   "error",
		Message:  message,
		Resource: bounded(baasboxResource(r)),
		Method:   bounded(r.Method),
		RequestHeader: baasboxHeaders{
			Accept:         values(r, "Accept"),
			AcceptEncoding: values(r, "Accept-Encoding"),
			AcceptLanguage: values(r, "Accept-Language"),
			ContentType:    values(r, "Content-Type"),
			Host:           []string{bounded(r.Host)},
			UserAgent:      values(r, "User-Agent"),
			AppCode:        values(r, "X-BAASBOX-APPCODE"),
		},
		APIVersion: b.APIVersion,
		CallID:     baasboxCallID(c),
		HTTPCode:   status,
	}
}

// isStart tells whether a path in the form of a request is that of the start,
// or below it. Any other may hold the token of a link, which is in no answer
// that does not need it.
func (b *BaasBox) isStart(path string) bool {
	user, ok := strings.CutPrefix(reset.Fold(path), reset.Fold(mount(b.Path))+"/user/")
	if !ok {
		return false
	}
	_, rest, _ := strings.Cut(user, "/")
	rest, ok = strings.CutPrefix(rest, "password/reset")
	return ok && (rest == "" || rest[0] == '/')
}

// baasboxResource returns the path as it stands in the request, without the
// query.
func baasboxResource(r *http.Request) string { return cmp.Or(r.URL.RawPath, r.URL.EscapedPath()) }

// baasboxCallID returns what a client wants to know the answer by.
func baasboxCallID(c *web.Call) string { return bounded(c.Query("call_id")) }

func values(r *http.Request, name string) []string {
	var all []string
	for _, v := range r.Header.Values(name) {
		if len(all) == maxBaasboxValues {
			break
		}
		all = append(all, bounded(v))
	}
	return all
}

func bounded(s string) string { return s[:min(len(s), maxBaasboxEcho)] }

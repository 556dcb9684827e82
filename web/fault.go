package web

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// problemType begins the type of every problem document (RFC 9457 section
// 3.1.1). A URN means the same wherever it is read and leads nowhere.
const problemType = "urn:caddy-password-reset:problem:"

// retryUnavailable is when to try again after a fault of ours.
const retryUnavailable = 10 * time.Second

// A Fault names why a request was not done; "" is none. It ends the type of a
// problem document and keys the texts of a page.
type Fault string

// The faults of a [Dialect]. It is given FaultRequest for a path with more than
// one reading, FaultForeign for a page that may not call it, FaultUnknown,
// FaultMethod, and FaultInternal after a panic; and it meets FaultTooLarge,
// FaultMedia and FaultRequest in [Call.Body]. FaultUnavailable is for what it
// cannot do for now.
const (
	FaultRequest     Fault = "request"
	FaultForeign     Fault = "cross-site"
	FaultUnknown     Fault = "not-found"
	FaultMethod      Fault = "method"
	FaultTooLarge    Fault = "too-large"
	FaultMedia       Fault = "media-type"
	FaultInternal    Fault = "internal"
	FaultUnavailable Fault = "unavailable"
)

// The faults that our own pages have beside them.
const (
	faultLink       Fault = "link"
	faultGone       Fault = "account-gone"
	faultSuperseded Fault = "superseded"
	faultLogin      Fault = "login"
	faultCode       Fault = "code"
	faultPassword   Fault = "password"
	faultRefused    Fault = "refused"
	faultLimit      Fault = "limit"
)

// faults holds status and words of each fault for programs. None tells more
// than the status does about an account.
var faults = map[Fault]struct {
	status        int
	title, detail string
}{
	FaultRequest:     {http.StatusBadRequest, "Malformed request", "Each field is needed exactly once, in the body, as text in UTF-8."},
	FaultForeign:     {http.StatusForbidden, "Cross-site request", "Requests that another site makes a browser send are not accepted."},
	FaultUnknown:     {http.StatusNotFound, "Not found", "There is nothing here."},
	FaultMethod:      {http.StatusMethodNotAllowed, "Method not allowed", "The Allow header lists what is possible."},
	faultLink:        {http.StatusGone, "Token not valid", "It is unknown, expired, used or cancelled. Ask for a new mail."},
	faultGone:        {http.StatusGone, "Password cannot be changed here", "The application says that this account cannot be changed."},
	faultSuperseded:  {http.StatusConflict, "A newer change won", "The password was changed again in the meantime."},
	FaultTooLarge:    {http.StatusRequestEntityTooLarge, "Body too large", "A body has at most 16 KiB."},
	FaultMedia:       {http.StatusUnsupportedMediaType, "Unsupported media type", "A body is application/json or application/x-www-form-urlencoded, in UTF-8, without a content coding."},
	faultLogin:       {http.StatusUnprocessableEntity, "Not a login", "A login has 1 to 254 characters and no control characters."},
	faultCode:        {http.StatusUnprocessableEntity, "Code not valid", "Login and code do not go together, or no longer."},
	faultPassword:    {http.StatusUnprocessableEntity, "Password not acceptable", "The reasons say why. The token still works."},
	faultRefused:     {http.StatusUnprocessableEntity, "Password refused", "The application does not accept this password. The token still works."},
	faultLimit:       {http.StatusTooManyRequests, "Too many requests", "The Retry-After header says when to try again."},
	FaultInternal:    {http.StatusInternalServerError, "Internal error", "The request could not be answered."},
	FaultUnavailable: {http.StatusServiceUnavailable, "Not available", "What was asked may not have been done. Try again later."},
}

// A problem is a problem document (RFC 9457).
type problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail"`
	Reasons []passwords.Reason `json:"reasons,omitempty"`
}

// faultOf returns the fault behind an error of the domain, and when to try
// again if that is known. Known is false for an error that is not of package
// reset.
func faultOf(err error) (f Fault, retry time.Duration, known bool) {
	if limit, ok := errors.AsType[*reset.LimitError](err); ok {
		return faultLimit, max(limit.RetryAfter, time.Second), true
	}
	if _, ok := errors.AsType[*reset.PasswordError](err); ok {
		return faultPassword, 0, true
	}
	switch {
	case errors.Is(err, reset.ErrLogin):
		return faultLogin, 0, true
	case errors.Is(err, reset.ErrGrant):
		return faultLink, 0, true
	case errors.Is(err, reset.ErrCode):
		return faultCode, 0, true
	case errors.Is(err, reset.ErrWords):
		return FaultRequest, 0, true
	}
	return FaultUnavailable, retryUnavailable, errors.Is(err, reset.ErrUnavailable)
}

// occasional lets a log line through once a minute: a fault that every request
// meets must not fill the disk.
type occasional struct {
	mu   sync.Mutex
	next time.Time
}

func (o *occasional) due() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Before(o.next) {
		return false
	}
	o.next = now.Add(time.Minute)
	return true
}

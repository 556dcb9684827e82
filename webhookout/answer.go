package webhookout

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// maxAnswer is how much of an answer's body is read. More is not an error:
	// the status has been told by then.
	maxAnswer = 64 << 10
	// maxRetryAfter is the longest step of the schedule of retries, so that a
	// wrong header does not park a message until its deadline.
	maxRetryAfter = 2 * time.Hour
	// maxErrorText bounds what a peer can make us log, as certificates do with
	// their names.
	maxErrorText = 300
)

// An Answer is what came of one attempt.
type Answer struct {
	Status      int           // 0 if none came; then Err says why
	ContentType string        // the media type without parameters, in lower case; "" if missing or malformed
	Body        []byte        // at most 64 KiB
	Truncated   bool          // the body went on, or broke off
	Date        time.Time     // by the app's clock, or that of a proxy before it; zero if it does not say
	RetryAfter  time.Duration // how long the app asks to wait, at most 2 h; 0 if it does not
	Err         error         // the cause, safe to log; has a method Alarm() bool
}

// OK says whether the app has taken the message: a 2xx whose body is empty or
// JSON. A page of HTML comes from a front controller that answers everything,
// and no hook was reached.
func (a Answer) OK() bool {
	if a.Status < 200 || a.Status > 299 {
		return false
	}
	text := bytes.TrimLeft(a.Body, " \t\r\n")
	switch {
	case a.Status == http.StatusNoContent:
		return true
	case len(text) == 0:
		// Frameworks label an empty body as HTML too, but one that did not
		// come is not known to be empty.
		return !a.Truncated || a.ContentType != "text/html"
	case a.Truncated:
		return text[0] == '{' || text[0] == '['
	default:
		return json.Valid(text)
	}
}

// Alarm says whether the operator has to mend something, as waiting will not:
// the URL, the secret, a certificate, or a hook that is none.
func (a Answer) Alarm() bool {
	switch {
	case a.Err != nil:
		var alarming interface{ Alarm() bool }
		return errors.As(a.Err, &alarming) && alarming.Alarm()
	case a.Status < 300:
		return !a.OK()
	case a.Status < 400:
		return true
	case a.Status < 500:
		switch a.Status {
		case http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
			return false
		}
		return !passing(a.Status)
	default:
		return false
	}
}

// passing says whether a 4xx is about the moment and not about the message.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return false
}

// Problem says what is wrong with an answer that was not expected, with a hint
// for the operator: the cause if there is no answer, otherwise by the status.
func (a Answer) Problem() error {
	if a.Err != nil {
		return a.Err
	}
	hint := ""
	switch {
	case a.Status == http.StatusUnauthorized:
		hint = "; is the webhook secret the same on both sides, and are both clocks right?"
	case a.Status == http.StatusForbidden, a.Status == http.StatusNotFound, a.Status == http.StatusMethodNotAllowed:
		hint = "; is the URL that of the hook?"
	case a.Status >= 300 && a.Status < 400:
		hint = ", a redirect, which is not followed; give the final URL of the hook"
	case a.Status < 300 && !a.OK():
		hint = " with a body that is not JSON; a hook answers 204, or 200 with JSON"
	}
	return fmt.Errorf("the app answered %d%s", a.Status, hint)
}

// readAnswer reads as much as an answer may have, and closes it.
func readAnswer(resp *http.Response) Answer {
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		a.ContentType = t
	}
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.Date = t
	}
	if a.Status == http.StatusSwitchingProtocols {
		a.Truncated = true // this body is the bare connection, which no deadline ends
		return a
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	a.Truncated = err != nil || len(body) > maxAnswer
	a.Body = body[:min(len(body), maxAnswer)]
	return a
}

// retryAfter reads the field of that name: seconds, or a date (RFC 9110,
// section 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// Faults that a ping knows a cure for.
var (
	errTooFar = errors.New("address is beyond reach")
	errNotTLS = errors.New("no TLS")
	errBusy   = errors.New("too many exchanges")
)

// A fault is why no answer came.
type fault struct {
	text  string
	alarm bool
	err   error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }
func (f *fault) Alarm() bool   { return f.alarm }

// cause turns an error of the transport into one that can be logged. Most
// texts are dropped: those about malformed answers quote the peer, and a peer
// that echoes would have us log the password.
func cause(err error) error {
	var (
		refused     *fault
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		op          *net.OpError
		timeout     net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &fault{text: "no answer in time", err: context.DeadlineExceeded}
	case errors.Is(err, context.Canceled):
		return &fault{text: "exchange was cancelled", err: context.Canceled}
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &certificate):
		return &fault{text: reset.PlainText("checking certificate: "+certificate.Err.Error(), maxErrorText), alarm: true, err: certificate}
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return &fault{text: "the app does not speak TLS at this port", alarm: true, err: errNotTLS}
	case errors.As(err, &op):
		return &fault{text: reset.PlainText(op.Error(), maxErrorText), err: op.Err}
	case errors.As(err, &timeout) && timeout.Timeout(): // net/http's own, for the handshake
		return &fault{text: "no answer in time", err: context.DeadlineExceeded}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &fault{text: "connection closed without an answer"}
	default:
		return &fault{text: "no valid HTTP answer"}
	}
}

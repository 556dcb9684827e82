package web

import (
	"errors"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// An Outcome says what a request came to, for an operator's logs and rules. It
// says no more than the answer does: it is the same for every login, whether it
// has an account or not, also where a dialect reveals that to its clients.
type Outcome string

// The outcomes.
const (
	OutcomeShown       Outcome = "shown"       // a form, a page or data, or the way to one
	OutcomeAccepted    Outcome = "accepted"    // a mail was asked for
	OutcomeOpened      Outcome = "opened"      // a link or code opened the form for the new password
	OutcomeChanged     Outcome = "changed"     // the app has the new password
	OutcomePending     Outcome = "pending"     // it is stored, and on its way to the app
	OutcomeRefused     Outcome = "refused"     // the rules or the app do not take it
	OutcomeCancelled   Outcome = "cancelled"   // "this wasn't me"
	OutcomeInvalid     Outcome = "invalid"     // a link or code that opens nothing
	OutcomeLimited     Outcome = "limited"     // this address asks too often
	OutcomeMalformed   Outcome = "malformed"   // nothing that we could do
	OutcomeUnavailable Outcome = "unavailable" // a fault of ours
)

// An Answer is what is known of one beyond its bytes. It is complete before its
// first byte leaves, so that headers can tell it.
type Answer struct {
	Outcome   Outcome
	Reference string // of the request that was accepted, as the person reads it
}

// Telling returns the route such that [Handler.ServeHTTP] tells of its answer.
func (r Route) Telling(to *Answer) Route {
	r.told = to
	return r
}

// outcomeOf is the outcome of a fault.
func outcomeOf(f Fault) Outcome {
	switch f {
	case faultLink, faultCode:
		return OutcomeInvalid
	case faultPassword, faultRefused, faultGone, faultSuperseded:
		return OutcomeRefused
	case faultLimit:
		return OutcomeLimited
	case FaultInternal, FaultUnavailable:
		return OutcomeUnavailable
	}
	return OutcomeMalformed
}

// outcomeOfStatus is the outcome of an answer of which nobody has told.
func outcomeOfStatus(status int) Outcome {
	switch {
	case status >= http.StatusInternalServerError:
		return OutcomeUnavailable
	case status >= http.StatusBadRequest:
		return OutcomeMalformed
	}
	return OutcomeShown
}

// outcomeOfChange is the outcome of a new password that was read.
func outcomeOfChange(status reset.Status) Outcome {
	switch status {
	case reset.StatusChanged:
		return OutcomeChanged
	case reset.StatusPending:
		return OutcomePending
	case reset.StatusRefused, reset.StatusGone, reset.StatusSuperseded:
		return OutcomeRefused
	}
	return OutcomeUnavailable
}

// tell notes what a call of the domain came to: o, unless it failed.
func (x *exchange) tell(o Outcome, err error) {
	if err != nil {
		f, _, _ := faultOf(err)
		if _, ok := errors.AsType[*WordsError](err); ok {
			f = FaultRequest
		}
		o = outcomeOf(f)
	}
	x.told.Outcome = o
}

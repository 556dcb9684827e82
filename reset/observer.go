package reset

import "time"

// A Step is a change of state of one request. The audit log, Caddy's events and a
// trace call it by this name.
type Step string

// The steps in the order that most requests take them: what was found, what became
// of the mail, of the link and of the change, and who else ended it. Unknown,
// limited, rejected and expired requests have ended without a mail.
const (
	StepAsked   Step = "asked"   // a request was accepted; nothing was looked up; Detail says if the operator made it
	StepFound   Step = "found"   // there is an account, and a grant for it
	StepUnknown Step = "unknown" // no account that can get mail
	StepLimited Step = "limited" // login or account was asked for too often

	StepMailed   Step = "mailed"   // the relay has taken the mail; Detail is its answer
	StepDelayed  Step = "delayed"  // directory or relay did not take part yet; Detail says why
	StepRejected Step = "rejected" // the relay refused the mail for good; Detail is its code
	StepExpired  Step = "expired"  // nothing was, or will be, mailed in time

	StepOpened   Step = "opened"   // link or code opened the page for the new password
	StepAccepted Step = "accepted" // a new password is stored here

	StepChanged    Step = "changed"    // the app has the new password
	StepPending    Step = "pending"    // the app did not take it yet; Detail says why
	StepRefused    Step = "refused"    // the app does not want this password; the link works on
	StepGone       Step = "gone"       // the app says that the account is gone
	StepSuperseded Step = "superseded" // the app has a newer change
	StepFailed     Step = "failed"     // the app did not take it within its time
	StepReplaced   Step = "replaced"   // a newer password took its place before the app had it

	StepCancelled Step = "cancelled" // the owner said that it was not them
	StepRevoked   Step = "revoked"   // the operator ended it
	StepDropped   Step = "dropped"   // the operator ended a notice that waited
	StepRetried   Step = "retried"   // the operator had a job that waited tried at once; Detail is its kind
)

// An Event is one step of one request. It holds no login, address, token or
// password.
type Event struct {
	At        time.Time
	Site      string
	Reference string // of the request, as the person was shown it
	Step      Step
	Detail    string // numbers and our own words, "" for most; the relay's words if it is StepMailed
}

// A Call is something that is asked of a peer.
type Call string

// The calls, and what can come of them: a lookup is found, unknown or failed; a
// mail is sent, unknown, not_sent, rejected, misconfigured, unwanted or
// unreachable; a change is applied, retry, refused, gone or superseded.
const (
	CallLookup Call = "lookup"
	CallMail   Call = "mail"   // link and code
	CallNotice Call = "notice" // what became of a change
	CallChange Call = "change"
)

// A Limit is a bound that somebody has met.
type Limit string

// The limits. The first five count by client address.
const (
	LimitAsk     Limit = "ask"     // requests
	LimitOpen    Limit = "open"    // pages of links
	LimitCode    Limit = "code"    // codes that were entered
	LimitChange  Limit = "change"  // new passwords and cancellations
	LimitFind    Limit = "find"    // look-ups for a client that is told who has an account
	LimitLogin   Limit = "login"   // one typed login, in memory
	LimitAccount Limit = "account" // mails of one account
	LimitQueue   Limit = "queue"   // no room for more jobs
)

// An Observer hears what happens. It is called in the goroutine that does the
// work, from several at once, after the step is durable: it must be quick and
// must not block.
type Observer interface {
	// Step tells of a change of state.
	Step(Event)
	// Called tells how long a peer was asked and what came of it.
	Called(site string, c Call, outcome string, took time.Duration)
	// Limited tells that a limit was met.
	Limited(site string, l Limit)
}

// observe tells of a step that is durable.
func (s *Site) observe(at time.Time, reference string, step Step, detail string) {
	s.svc.observer.Step(Event{At: at, Site: s.config.ID, Reference: reference, Step: step, Detail: detail})
}

// cause is why something did not work, as far as a row has room for it.
func cause(err error) string {
	if err == nil {
		return ""
	}
	text := storable(err.Error())
	return text[:min(len(text), maxCause)]
}

const maxCause = 120

// noObserver is the Observer of a service that has none.
type noObserver struct{}

func (noObserver) Step(Event)                                 {}
func (noObserver) Called(string, Call, string, time.Duration) {}
func (noObserver) Limited(string, Limit)                      {}

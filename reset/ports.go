package reset

import (
	"context"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// A Directory finds the accounts behind a login.
//
// Lookup returns up to [MaxAccounts] accounts, none if the login is unknown. One
// without an address gets no mail. Any error is retried until the deadline of
// the request. An error with a method Alarm() bool that returns true needs the
// operator (a wrong setting) and is logged as such.
type Directory interface {
	Lookup(ctx context.Context, login string) ([]Account, error)
}

// A Change is a new password on its way to the app.
type Change struct {
	Site     string
	ID       string // the same for every attempt: the receiver's idempotency key (webhook-id)
	ResetID  string // the reference that the person was shown
	Sequence int64  // grows with each change of one account, even if the store is lost
	Account  Account
	Format   string // plain, bcrypt or argon2id
	Password string // in that format
	At       time.Time
}

// A Verdict is what a target made of one attempt to apply a change.
type Verdict int

// The verdicts. The zero value is Retry, so that an unknown outcome is one
// that is tried again.
const (
	Retry      Verdict = iota // not known to be applied: try again later
	Applied                   // the app has stored the new password
	Refused                   // the app does not want this password; Detail says why
	Gone                      // the account is gone
	Superseded                // the app has applied a newer change
)

// String names a verdict as metrics do.
func (v Verdict) String() string {
	return [...]string{"retry", "applied", "refused", "gone", "superseded"}[v]
}

// An Attempt is the outcome of handing a change to a target.
type Attempt struct {
	Verdict    Verdict
	Detail     string        // for Refused: the app's own words for the person, plain text, foreign
	RetryAfter time.Duration // for Retry: what the app asked for; 0 if it did not
	Err        error         // the cause, for the log; carries no secret
	Alarm      bool          // the operator has to mend something
}

// A Target applies a change. Apply is bounded by the deadline of ctx and may
// be called again with the same Change.ID.
type Target interface {
	Apply(ctx context.Context, c Change) Attempt
}

// A LetterKind names what a letter is for.
type LetterKind string

// The letters. All but LetterReset are notices.
const (
	LetterReset   LetterKind = "reset"   // link and code
	LetterChanged LetterKind = "changed" // the password was changed
	LetterRefused LetterKind = "refused" // the app refused it after the person had left: start again
	LetterFailed  LetterKind = "failed"  // the change could not be handed over: start again
)

// A Letter is what a mail has to say. Links are absolute and already escaped.
type Letter struct {
	Kind       LetterKind
	To         Account
	MessageID  string        // local part of the Message-ID, the same for all attempts of one job
	Reference  string        // of the request
	Dialect    string        // LetterReset: the contract that it was asked for by, "" for our own
	Words      *Words        // LetterReset: the caller's wording, foreign text; nil if there is none
	At         time.Time     // LetterReset: when it was asked for; a notice: when the password was given or changed
	Link       string        // LetterReset: the page for the new password
	Code       string        // LetterReset: eight digits, or "" while codes are off for the account
	CancelLink string        // LetterReset: "this wasn't me"
	AskLink    string        // the form to ask for a new mail
	LinkTTL    time.Duration // life of the link
	CodeTTL    time.Duration // life of the code
}

// A Wording is how the mails of one dialect are worded. The fields named after
// a piece of a mail hold its placeholder as it is spelled in Subject, Text and
// HTML; "" if there is none.
type Wording struct {
	Subject string // "": ours
	Text    string // plain text; "": the mail is worded as ours, but for a Subject
	HTML    string // "": made from Text

	Link, Token, Code string // placeholders: the address of the page, the link token in it, the code
	Login             string // placeholder: the account's login
}

// A Composer turns a letter into an Internet message.
type Composer interface {
	Compose(Letter) (Message, error)
}

// A Message is a complete mail with its envelope.
type Message struct {
	From string // envelope sender, a bare address
	To   string // envelope recipient, a bare address
	Data []byte // RFC 5322, CRLF line ends
}

// A DeliveryStatus says what became of one attempt to send a mail.
type DeliveryStatus int

// The outcomes of an attempt. The zero value is Unknown.
const (
	Unknown       DeliveryStatus = iota // it may have been handed over: retry, but the links in it live on
	Sent                                // the relay has taken it
	NotSent                             // surely nothing was handed over: retry
	Rejected                            // the relay refuses this recipient or this mail for good
	Misconfigured                       // refused login, TLS fault: keep the job, call the operator
	Unwanted                            // the relay has seen this mail and will not have it: retry in our own words, let others pass
	Unreachable                         // nothing was handed over, as no relay that takes mails was found: retry, and spare the others the attempt
)

// String names an outcome as metrics do.
func (d DeliveryStatus) String() string {
	names := [...]string{"unknown", "sent", "not_sent", "rejected", "misconfigured", "unwanted", "unreachable"}
	return names[d]
}

// A Delivery is the outcome of sending one mail.
type Delivery struct {
	Status DeliveryStatus
	Err    error // the cause, for the log: codes only, never an address or server text

	// Answer is what the relay said when it took the mail, such as
	// "250 2.0.0 Ok: queued as 4A7F21": at most 80 characters of printable
	// ASCII, "" if there is an "@" in it or it quotes the recipient. It is
	// foreign text for the operator who traces a mail, and never for a log.
	Answer string
}

// A Mailer sends one mail within the deadline of ctx.
type Mailer interface {
	Send(ctx context.Context, m Message) Delivery
}

// Passwords judges a new password. About holds the words an attacker would
// try first: login, address and name of the account. It returns nil if the
// password is acceptable.
type Passwords interface {
	Check(password string, about []string) []passwords.Reason
	Rules() passwords.Rules
}

// A Hasher turns the password into the format that the app stores. A nil
// Hasher means that the app gets the password as it was typed.
type Hasher interface {
	Format() string
	Hash(password string) (string, error)
}

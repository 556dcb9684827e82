package reset

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// What the methods of [Site] return when they do not do what was asked. None
// of them depends on whether an account exists.
var (
	// ErrLogin says that what was typed cannot be a login: empty, longer than
	// 254 characters, not UTF-8, or with control characters.
	ErrLogin = errors.New("not a login")

	// ErrGrant says that a token opens nothing: unknown, malformed, expired,
	// used, cancelled or superseded. These are never told apart.
	ErrGrant = errors.New("link is not valid")

	// ErrWords says that a caller's wording of a mail cannot be taken: it is
	// not UTF-8 or longer than [MaxWords].
	ErrWords = errors.New("wording of the mail is too long or not text")

	// ErrCode says that login and code do not go together, or do no longer.
	ErrCode = errors.New("code is not valid")

	// ErrUnavailable says that nothing could be stored for now: the store
	// failed, the queue is full, or the clock is wrong. Whoever asked may ask
	// again.
	ErrUnavailable = errors.New("password reset is not available for the moment")
)

// A LimitError says that this client asked too often.
type LimitError struct {
	RetryAfter time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many requests; again in %s", e.RetryAfter.Round(time.Second))
}

// A PasswordError says why a new password was not accepted. The grant is
// untouched.
type PasswordError struct {
	Reasons []passwords.Reason
}

func (e *PasswordError) Error() string { return "password is not acceptable" }

// A Request is somebody's wish to reset the password of a login.
type Request struct {
	Login    string
	ClientIP netip.Addr // zero if unknown: then no limit by address applies
	Trusted  bool       // the client has shown a dialect's credential: the limit is fifty times as large

	// Dialect names the contract that the request came by; "" is our own. The
	// mail is worded as it says, and its link leads to its page.
	Dialect string
	// Words replace subject and text of the dialect's wording. Nil: none.
	Words *Words
	// LinkTTL is the life of the link, at most [MaxLinkTTL]. 0: that of the site.
	LinkTTL time.Duration
}

// Words are what a caller wants a mail to say, foreign text. Both together
// have at most [MaxWords] bytes of UTF-8.
type Words struct {
	Subject, Text string
}

// MaxWords bounds the words of a caller in bytes: a queue row with them, and
// those of all accounts that share a login, fit into one transaction.
const MaxWords = 24 << 10

// A CodeEntry is a code typed together with the login it was asked for.
type CodeEntry struct {
	Login    string
	Code     string // as typed: ASCII spaces and hyphens are ignored
	ClientIP netip.Addr
	Trusted  bool // as in Request
}

// A NewPassword is what a person submits with a token.
type NewPassword struct {
	Token    string
	Password string // exactly as typed
	ClientIP netip.Addr
	Trusted  bool // as in Request
}

// A Grant is what the page for the new password may know of one.
type Grant struct {
	MaskedLogin string    // enough to recognise one's own account by
	Login       string    // for password managers; only whoever holds the token sees it
	Expires     time.Time // when the token stops working
	Claimed     bool      // a new password was given and is on its way
}

// A Status says where a new password stands.
type Status string

// Where a new password stands when the person is told.
const (
	StatusChanged    Status = "changed"    // the app has confirmed it
	StatusPending    Status = "pending"    // stored here, will be handed over
	StatusRefused    Status = "refused"    // the app refused it; the same token still works
	StatusGone       Status = "gone"       // the app says the account cannot be changed
	StatusSuperseded Status = "superseded" // a newer change won
)

// A Result is the answer to a NewPassword.
type Result struct {
	Status Status
	Detail string // StatusRefused: the app's reason, foreign text of at most 500 characters
}

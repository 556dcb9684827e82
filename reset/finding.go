package reset

import (
	"context"
	"time"
)

// A Finding says what a request for a login would lead to.
type Finding int

// The findings. The zero value is Found, so that what is not known is not
// told.
const (
	Found     Finding = iota // a mail, or nothing is known to be against it
	Nobody                   // no account has the login
	NoAddress                // accounts have it, none with an address
	MailDown                 // an account has it, and the last mail failed less than a minute ago
)

const (
	// maxFindings bounds the lookups that people wait for.
	maxFindings = 8
	// findTimeout is how long they wait.
	findTimeout = 5 * time.Second
	// mailDownFor is how long a relay counts as down after it took no mail.
	// Requests that are refused meanwhile would never find out that it is up
	// again.
	mailDownFor = time.Minute
)

// Find looks the login of a request up while somebody waits, and tells whether it has an
// account. It is for the one caller who may know: a dialect whose operator
// wants accounts revealed, for clients that have shown its credential. The
// answer to everybody else must not depend on it.
//
// What it cannot find out in five seconds, and what a client asks beyond its
// limit, it takes for Found.
func (s *Site) Find(ctx context.Context, r Request) (Finding, error) {
	login, err := cleanLogin(r.Login)
	if err != nil {
		return Found, err
	}
	if s.limit(limitFind, r.ClientIP, r.Trusted) != nil {
		return Found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	select {
	case s.findings <- struct{}{}:
		defer func() { <-s.findings }()
	case <-ctx.Done():
		return Found, nil
	}
	accounts, err := s.consult(ctx, login)
	if err != nil {
		return Found, nil // the queue will ask again, and log why it failed
	}
	if len(accounts) == 0 {
		return Nobody, nil
	}
	for _, a := range accounts {
		if a.Email == "" {
			continue
		}
		if s.queue(jobMail).mailIsDown(time.Now()) {
			return MailDown, nil
		}
		return Found, nil
	}
	return NoAddress, nil
}

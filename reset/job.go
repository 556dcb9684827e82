package reset

import (
	"errors"
	"time"
)

// A jobKind says what a job does. Each kind of each site has a queue of its
// own, so that waiting mails hold up no change and one site no other.
type jobKind byte

const (
	jobMail   jobKind = 'm' // look a login up and mail link and code
	jobChange jobKind = 'c' // hand a change to the app
	jobNotice jobKind = 'n' // tell the owner what became of a change
)

var jobKinds = []jobKind{jobMail, jobChange, jobNotice}

func (k jobKind) String() string {
	switch k {
	case jobMail:
		return "mail"
	case jobChange:
		return "change"
	default:
		return "notice"
	}
}

// Deadlines. A link mailed later than an hour after it was asked for would
// only surprise; a password must not change days later.
const (
	mailDeadline   = time.Hour
	changeDeadline = 24 * time.Hour
	noticeDeadline = 48 * time.Hour
)

// Leases. An attempt must end leaseMargin before its lease does.
const (
	leaseMargin = 10 * time.Second
	mailLease   = 100 * time.Second
)

// A job is durable work with a deadline. Who leases it moves its row to the
// end of the lease: after a crash it comes due again by itself.
type job struct {
	ID        id     `json:"id"`
	Kind      string `json:"kind"`
	Site      string `json:"site"`
	Attempt   int    `json:"attempt"`
	Holder    string `json:"holder"` // who has leased it
	Created   int64  `json:"created"`
	Deadline  int64  `json:"deadline"`
	Reference string `json:"reference"`
	Cause     string `json:"cause,omitempty"` // why the last attempt came to nothing

	// Mail: what was typed, and after the first look the key of the record of
	// the account that this job is for, or of the decoy: an id would make the
	// row of a hit longer. And whether that account's limits have counted it.
	Login   string `json:"login,omitempty"`
	Account []byte `json:"account,omitempty"`
	Counted bool   `json:"counted,omitempty"`
	Dialect string `json:"dialect,omitempty"`
	Words   *words `json:"words,omitempty"`
	LinkTTL int64  `json:"link_ttl,omitempty"` // milliseconds; 0: that of the site
	Desk    bool   `json:"desk,omitempty"`     // the operator asks: no limit holds

	// Change: where it lies.
	Record []byte `json:"record,omitempty"`
	Change id     `json:"change,omitzero"`

	// Notice.
	Letter LetterKind `json:"letter,omitempty"`
	To     *Account   `json:"to,omitempty"`
}

var (
	// errStale says that the job was taken over, moved or ended meanwhile.
	errStale = errors.New("job is no longer held")
	// errDamaged says that a row does not decode.
	errDamaged = errors.New("row is damaged")
)

// mailBackoff and changeBackoff are the waits before the second, third, …
// attempt; the last one repeats.
var (
	mailBackoff = []time.Duration{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}

	changeBackoff = []time.Duration{ // elapsed
		5 * time.Second,  // 5 s
		30 * time.Second, // 35 s
		2 * time.Minute,  // 3 min
		5 * time.Minute,  // 8 min
		15 * time.Minute, // 23 min
		30 * time.Minute, // 53 min
		time.Hour,        // 2 h
		2 * time.Hour,    // every 2 h, to the deadline of 24 h
	}
)

// backoff returns how long to wait after the given attempt (1 is the first),
// ± 20 % so that what failed together does not come back together.
func backoff(table []time.Duration, attempt int) time.Duration {
	d := table[min(max(attempt, 1), len(table))-1]
	return d*4/5 + randomBelow(d*2/5)
}

// longestWait is more than any job is put off, by a lease or after an attempt.
const longestWait = 3 * time.Hour

// life is how long a job may be tried.
func (k jobKind) life() time.Duration {
	switch k {
	case jobMail:
		return mailDeadline
	case jobChange:
		return changeDeadline
	default:
		return noticeDeadline
	}
}

// leaseLength is how long an attempt at a job of this kind may take in all.
func (s *Site) leaseLength(k jobKind) time.Duration {
	if k == jobChange {
		return s.lease()
	}
	return mailLease
}

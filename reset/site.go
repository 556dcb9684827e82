package reset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// Lives of link and code, and their bounds.
const (
	DefaultLinkTTL = 30 * time.Minute
	DefaultCodeTTL = 10 * time.Minute

	// MaxLinkTTL is the longest life of a link, also of one that is given
	// back after the app refused a password. NIST SP 800-63B-4 section
	// 4.2.1.2 allows 24 h for a recovery code sent by mail.
	MaxLinkTTL = 24 * time.Hour
)

// MaxAttempts is how many changes, and how many lookups, of one site are on
// their way at once. An adapter with fewer connections makes an attempt wait
// for one while its lease runs.
const MaxAttempts = maxWorkers

// Bounds of a site's work, so that none can use up what all share.
const (
	attemptWait  = 2 * time.Second // how long a change waits for its turn
	personWaits  = 5 * time.Second // how long a person waits for the app
	maxQueuedJob = 100_000         // mails or changes of one site waiting
	maxWordedJob = 2_000           // mails waiting, from which on callers' words, of up to 32 KiB a row, are left out

	updateTimeout = 10 * time.Second // how long a person waits for the store
)

// Links builds the addresses that go into mails, from configuration only and
// never from a request. Link leads to the dialect's page for a new password
// where it has one.
type Links interface {
	Link(dialect, token string) string
	CancelLink(token string) string
	AskLink() string
}

// SiteConfig is one password_reset block.
type SiteConfig struct {
	// ID names all that is stored for the site; another id is another site.
	ID string

	Directory Directory
	Target    Target
	Composer  Composer
	Mailer    Mailer
	Passwords Passwords
	Hasher    Hasher // nil: the app gets the password as typed
	Links     Links

	LinkTTL time.Duration // default 30 min, at most 24 h
	CodeTTL time.Duration // default 10 min, at most LinkTTL

	// AttemptTimeout bounds one call of Target. Default 5 s.
	AttemptTimeout time.Duration

	// PerAccount are the mails that one account, and one typed login, may
	// cause; all of them hold. Nil means no limit.
	PerAccount []Window
	// PerIP is how often one client address (one /64 of IPv6) may ask. The
	// zero value means no limit.
	PerIP Window
}

// A Site is the face of one site. Its methods may be called from several
// goroutines at once. None but [Site.Find] tells whether an account exists.
type Site struct {
	config   SiteConfig
	svc      *Service
	log      *slog.Logger
	attempts chan struct{} // a token for each change on its way
	findings chan struct{} // a token for each lookup that somebody waits for

	prefixes map[jobKind][]byte // of the keys of each queue
	queues   map[jobKind]*queueState
}

func newSite(s *Service, c SiteConfig) (*Site, error) {
	if c.ID == "" {
		return nil, errors.New("reset: a site needs an id")
	}
	if c.Directory == nil || c.Target == nil || c.Composer == nil || c.Mailer == nil || c.Passwords == nil || c.Links == nil {
		return nil, fmt.Errorf("reset: site %q lacks an adapter", c.ID)
	}
	if c.LinkTTL == 0 {
		c.LinkTTL = DefaultLinkTTL
	}
	if c.CodeTTL == 0 {
		c.CodeTTL = min(DefaultCodeTTL, c.LinkTTL)
	}
	if c.LinkTTL < 0 || c.LinkTTL > MaxLinkTTL || c.CodeTTL < 0 || c.CodeTTL > c.LinkTTL {
		return nil, fmt.Errorf("reset: site %q: a link lives at most %s, a code at most as long as the link", c.ID, MaxLinkTTL)
	}
	for _, w := range append(slices.Clone(c.PerAccount), c.PerIP) {
		if w == (Window{}) {
			continue
		}
		if err := w.Check(); err != nil {
			return nil, fmt.Errorf("reset: site %q: a limit of %w", c.ID, err)
		}
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = 5 * time.Second
	}
	site := &Site{
		config:   c,
		svc:      s,
		log:      s.log.With("site", c.ID),
		attempts: make(chan struct{}, MaxAttempts),
		findings: make(chan struct{}, maxFindings),
		prefixes: make(map[jobKind][]byte),
		queues:   make(map[jobKind]*queueState),
	}
	h := s.index.Index("queue", c.ID)
	for _, k := range jobKinds {
		site.prefixes[k] = append(append([]byte{tableQueue}, h[:8]...), byte(k))
		site.queues[k] = s.shared.queue(site.prefixes[k])
	}
	return site, nil
}

// ID returns what all that is stored for the site is named by.
func (s *Site) ID() string { return s.config.ID }

// Rules returns what a new password must satisfy.
func (s *Site) Rules() passwords.Rules { return s.config.Passwords.Rules() }

// Key returns a key of this site's own for purpose, the same in every process
// on this store.
func (s *Site) Key(purpose string) [32]byte {
	return s.svc.index.Index("key", s.config.ID, purpose)
}

// limit counts one request of a kind against the client's address. A client that
// is trusted has a larger budget, and one of its own.
func (s *Site) limit(k limitKind, ip netip.Addr, trusted bool) error {
	if s.config.PerIP.N == 0 || !ip.IsValid() {
		// Behind a unix socket every visitor has an empty address. Counting
		// them as one would lock everybody out.
		return nil
	}
	if wait := s.svc.shared.clients.take(k, s.config.ID, ip, trusted, s.config.PerIP, time.Now()); wait > 0 {
		s.svc.observer.Limited(s.config.ID, k.limit())
		return &LimitError{RetryAfter: wait}
	}
	return nil
}

// lease is how long an attempt to apply a change may hold the account's slot.
// The attempt itself ends ten seconds earlier, so that its outcome is written
// while the lease still stands.
func (s *Site) lease() time.Duration { return s.config.AttemptTimeout + leaseMargin }

// update stores what somebody asked for. It goes on when they hang up, so that
// a closed browser leaves nothing in doubt, and ends before a proxy gives up on
// a store that is stuck.
func (s *Site) update(ctx context.Context, fn func(kv.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateTimeout)
	defer cancel()
	return s.svc.store.Update(ctx, fn)
}

// unavailable turns a failure of the store into the one sentence that is fit
// for the public, and logs the cause.
func (s *Site) unavailable(doing string, err error) error {
	s.svc.storeAlarm(s.config.ID, doing, err)
	return ErrUnavailable
}

// Package reset is the domain: what it means to ask for a new password, to
// hold the right to set one, and to hand it to the app. It knows no HTTP, no
// SMTP, no Caddy and no database; it declares the small interfaces it needs
// and keeps everything in a [kv.Store].
//
// Start with [New], which takes the sites and their adapters and returns a
// [Service]; [Service.Start] sets its workers going. Whoever faces the public
// works with the [Site] that [Service.Site] returns.
//
// # What it promises
//
// A request is durable before it is answered, and its answer, its work and
// its time do not depend on whether the account exists: nothing is looked up
// before the answer, and afterwards a hit, a miss and a limited request write
// the same rows of the same size.
//
// A grant is consumed only by a change that is journalled in the same
// transaction. At most one attempt to apply a change is in flight for an
// account, whatever the number of processes. A change is applied, refused or
// reported to its owner, never lost, and the newest wins. "Changed" is said
// only after the app has said so.
//
// All of this lives in one record per account, so it holds on any store that
// keeps the contract of package kv. After a crash every job continues: mail is
// sent at least once, a change is delivered at least once under one id.
//
// # What it never does
//
// It never sends mail to what somebody typed, stores a token or a code in
// clear, logs a login, an address, a token, a code or a password, or changes
// anything when a link is looked at.
package reset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// clockSkew is how far apart the clocks of two processes on one store may be.
const clockSkew = 5 * time.Second

// Config is what a service is made of.
type Config struct {
	Store   kv.Store
	Indexer kv.Indexer

	// Era is raised whenever an older copy of the store was put back: grants
	// of an earlier era open nothing, and pending changes are reported and
	// dropped, since both may have been used in the time that was lost.
	Era uint64

	// Exclusive says that only this process can have the store open, as with
	// the embedded store. A lease taken by another process is then known to be
	// dead and its job continues at once after a crash.
	Exclusive bool

	// Shared is what all services on this store in this process have in
	// common; it outlives a reload. A nil Shared means one of its own.
	Shared *Shared

	// Sites are the configured sites. Their ids must be different.
	Sites []SiteConfig

	// Mails is how many mails may leave in all; nil means no limit.
	Mails *rate.Limiter

	// Hold takes a reference to the store for one piece of background work and
	// returns its release, so that a reload cannot close the store under it.
	// A nil Hold means that the store outlives the service.
	Hold func() (release func(), err error)

	// NotBefore is a time that has certainly passed. While the clock is before
	// it nothing is issued: links and limits made by a wrong clock could not be
	// trusted later. Zero means no check.
	NotBefore time.Time

	// Observer hears of each step, call and limit. Nil means nobody.
	Observer Observer

	Logger *slog.Logger
}

// A Service runs the resets of some sites on one store. Its methods may be
// called from several goroutines at once.
type Service struct {
	store     kv.Store
	index     kv.Indexer
	era       uint64
	exclusive bool
	skew      time.Duration
	shared    *Shared
	sites     map[string]*Site
	mails     *rate.Limiter
	hold      func() (func(), error)
	notBefore time.Time
	observer  Observer
	log       *slog.Logger

	stop context.CancelFunc
	crew crew
}

// New returns a service that is not running yet: requests are accepted and
// stored, but nothing is mailed before [Service.Start].
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Indexer == nil {
		return nil, errors.New("reset: a store and an indexer are required")
	}
	s := &Service{
		store:     c.Store,
		index:     c.Indexer,
		era:       c.Era,
		exclusive: c.Exclusive,
		shared:    c.Shared,
		sites:     make(map[string]*Site, len(c.Sites)),
		mails:     c.Mails,
		hold:      c.Hold,
		notBefore: c.NotBefore,
		observer:  c.Observer,
		log:       c.Logger,
	}
	if s.shared == nil {
		s.shared = NewShared()
	}
	if s.observer == nil {
		s.observer = noObserver{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.hold == nil {
		s.hold = func() (func(), error) { return func() {}, nil }
	}
	if !s.exclusive {
		s.skew = clockSkew
	}
	for _, sc := range c.Sites {
		if _, twice := s.sites[sc.ID]; twice {
			return nil, fmt.Errorf("reset: two sites have the id %q", sc.ID)
		}
		site, err := newSite(s, sc)
		if err != nil {
			return nil, err
		}
		s.sites[sc.ID] = site
	}
	return s, nil
}

// Site returns the site with that id, or nil.
func (s *Service) Site(id string) *Site { return s.sites[id] }

// ordered returns the sites in the order of their ids.
func (s *Service) ordered() []*Site {
	return slices.SortedFunc(maps.Values(s.sites), func(a, b *Site) int { return strings.Compare(a.config.ID, b.config.ID) })
}

// Start takes up what an earlier process left and sets the workers going. It
// must be called at most once.
func (s *Service) Start(ctx context.Context) error {
	if err := s.recoverQueues(ctx); err != nil {
		return fmt.Errorf("reading the queue: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for _, site := range s.sites {
		for _, kind := range jobKinds {
			s.crew.start(func() { site.work(run, kind) })
		}
	}
	s.crew.start(func() { s.sweep(run) })
	return nil
}

// Stop ends the workers. What they have begun goes on, each with its own hold
// on the store; Stop waits for it until ctx ends.
func (s *Service) Stop(ctx context.Context) {
	if s.stop == nil {
		return
	}
	s.stop()
	s.crew.wait(ctx)
}

// recovered, deferred, keeps a panic of an adapter or a store from ending the
// whole server. Its value may hold anything, so only its type is logged.
func (s *Service) recovered(site, doing string) {
	if p := recover(); p != nil {
		s.panicked(site, doing, p)
	}
}

func (s *Service) panicked(site, doing string, value any) {
	s.alarm(site, "panic while "+doing, fmt.Errorf("%T", value))
}

// clockIsSane reports whether the clock can be right.
func (s *Service) clockIsSane(now time.Time) bool {
	if now.Before(s.notBefore) {
		s.alarm("", "the clock is wrong: it shows a time that has long passed; nothing is issued until it is set", nil)
		return false
	}
	return true
}

// alarm tells the operator of something that only they can mend. The same
// alarm of one site is logged once a minute, so that a flood of failures does
// not hide everything else; with another cause it is another alarm, so that
// silence after a setting was mended means that it is mended.
func (s *Service) alarm(site, message string, err error, attrs ...any) {
	what := site + "\x00" + message
	if err != nil {
		what += "\x00" + err.Error()
	}
	if s.shared.alarms.due(what, time.Now()) {
		s.sound(site, message, err, attrs...)
	}
}

// storeAlarm is alarm for what the store did not do. All that is asked of a
// store that is gone or full fails for one cause, on every site and in every
// queue, and one alarm says it.
func (s *Service) storeAlarm(site, doing string, err error) {
	cause := strings.TrimPrefix(err.Error(), kv.ErrUnknown.Error()+": ")
	if s.shared.alarms.due("store\x00"+cause, time.Now()) {
		s.sound(site, doing+" failed: the store does not take it", err)
	}
}

// sound logs an alarm that is due.
func (s *Service) sound(site, message string, err error, attrs ...any) {
	if site != "" {
		attrs = append(attrs, "site", site)
	}
	if err != nil {
		attrs = append(attrs, "error", err.Error())
	}
	s.log.Error(message, append(attrs, "alarm", true)...)
}

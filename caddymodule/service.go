package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// A store that did not open is left alone for the first span, then for
	// twice as long each time, up to the second. Opening waits for locks and
	// checks the file, and visitors must not set that off at will.
	leastPause = 500 * time.Millisecond
	mostPause  = 30 * time.Second
)

// notBefore is a time that has certainly passed. A clock that shows an earlier
// one is not set yet.
var notBefore = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// open gives a site for one request, which holds the store until it calls
// release. It may come before Start, since Caddy starts apps in any order, and
// after Stop, since Caddy lets requests run on after a reload.
func (a *App) open(ctx context.Context, id string) (*reset.Site, func(), error) {
	store, release, err := a.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	service, err := a.serviceOn(store)
	if err != nil {
		release()
		return nil, nil, err
	}
	return service.Site(id), release, nil
}

// acquire takes a reference to the store. A failure is remembered for a while.
func (a *App) acquire(ctx context.Context) (*pooledStore, func(), error) {
	a.mu.Lock()
	failed, early := a.failed, time.Now().Before(a.retry)
	a.mu.Unlock()
	if failed != nil && early {
		return nil, nil, failed
	}
	store, release, err := a.store.acquire(ctx)
	if errors.Is(err, errShut) {
		return nil, nil, err // over in a moment, and nothing was tried
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = err
	switch now := time.Now(); {
	case err == nil:
		a.pause = 0
	case !now.Before(a.retry): // else others have waited for the same failure
		a.pause = min(max(2*a.pause, leastPause), mostPause)
		a.retry = now.Add(a.pause)
	}
	return store, release, err
}

// waitToOpen is how long the store is still left alone.
func (a *App) waitToOpen() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(time.Until(a.retry), leastPause)
}

// serviceOn returns the service of this configuration on a store.
func (a *App) serviceOn(store *pooledStore) (*reset.Service, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.servedBy == store {
		return a.service, nil
	}
	_, exclusive := a.store.opener.(LocalStore)
	c := reset.Config{
		Store:     store.sealed,
		Indexer:   store.sealed,
		Era:       store.sealed.Era(),
		Exclusive: exclusive,
		Shared:    store.shared,
		Mails:     a.mails,
		Hold:      func() (func(), error) { return a.store.hold(store) },
		NotBefore: notBefore,
		Observer:  a.observer,
		Logger:    a.log,
	}
	for _, s := range a.sites {
		c.Sites = append(c.Sites, s.config)
	}
	service, err := reset.New(c)
	if err != nil {
		return nil, err
	}
	a.service, a.servedBy = service, store
	return service, nil
}

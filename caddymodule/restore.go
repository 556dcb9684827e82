package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// restoreWait is how long running requests and jobs may take to let go of a store
// that is to be replaced. A new password waits for the app for about 5 s.
const restoreWait = 15 * time.Second

var (
	errStillUsed = errors.New("the store is still in use by a request, a mail or a change that takes long; nothing was changed: try again later, or stop Caddy and restore it then")
	errEnded     = errors.New("the configuration was replaced or Caddy is stopping; nothing was changed: try again")
)

// restore puts a copy in the place of the store while the server runs. The copy
// is received and checked first, and everything goes on meanwhile. Then our
// routes answer 503 for a moment: the workers stop, running requests and jobs
// end, the file is replaced and opened, and the workers start again. The previous
// store is kept beside it; restore and the log say where.
//
// After an error the store is the previous one, and in use, but for an error
// that says otherwise.
func (a *App) restore(ctx context.Context, from io.Reader) (kept string, err error) {
	release, err := pool.claim(a.store.opener.StoreKey())
	if err != nil {
		return "", err
	}
	defer release()
	received, err := a.store.receive(ctx, from)
	if err != nil {
		return "", err
	}
	defer received.discard(a.store)
	if kept, err = a.replace(ctx, received); err != nil {
		return "", err
	}
	a.log.Info("a copy was put in the place of the store", "kept", kept)
	a.noteCopy(stepRestored)
	return kept, nil
}

// replace takes the store out of use, replaces it, and takes what is there then
// into use.
func (a *App) replace(ctx context.Context, received *receivedCopy) (kept string, err error) {
	a.life.Lock()
	defer a.life.Unlock()
	if a.ended {
		return "", errEnded
	}
	open := pool.close(a.store.opener.StoreKey())
	release := func() {}
	defer func() {
		open()
		a.resume(context.WithoutCancel(ctx))
		release()
	}()
	if err := a.quit(ctx); err != nil {
		return "", err
	}
	kept, release, err = a.swap(context.WithoutCancel(ctx), received)
	return kept, err
}

// swap replaces the store, which nobody has open, and opens it. The reference
// that it returns keeps it open until others have theirs.
func (a *App) swap(ctx context.Context, received *receivedCopy) (kept string, release func(), err error) {
	release = func() {}
	if kept, err = received.install(); err != nil {
		return "", release, err
	}
	_, opened, err := take(a.store.opener.StoreKey(), func() (caddy.Destructor, error) { return a.store.open(ctx) }, a.log)
	if err != nil {
		if undone := received.undo(); undone != nil {
			return "", release, fmt.Errorf("the copy does not open (%w), and the previous store could not be put back: %w", err, undone)
		}
		return "", release, fmt.Errorf("the copy does not open, and the previous store is in use again: %w", err)
	}
	return kept, opened, nil
}

// quit ends the workers and waits until nobody has the store open.
func (a *App) quit(ctx context.Context) error {
	// Taken to know when it is closed. Nobody can open it any more, but somebody
	// may just be doing so.
	store, release, err := take(a.store.opener.StoreKey(), func() (caddy.Destructor, error) { return nil, errShut }, a.log)
	if err != nil {
		store, release = nil, func() {} // it does not open: that is why there is a restore
	}
	a.mu.Lock()
	service := a.service
	a.service, a.servedBy = nil, nil
	a.mu.Unlock()
	if service != nil {
		now, cancel := context.WithCancel(ctx)
		cancel() // what is waited for is the store, below
		service.Stop(now)
	}
	a.begun = false
	a.release()
	a.release = func() {}
	release()
	if store == nil {
		return nil
	}
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case <-store.gone:
		return nil
	case <-timer.C:
		return errStillUsed
	case <-ctx.Done():
		return ctx.Err()
	case <-a.ending:
		return errEnded
	}
}

// resume takes the store into use as Start does. If that fails it is tried again
// until it opens.
func (a *App) resume(ctx context.Context) {
	a.mu.Lock()
	a.failed, a.pause, a.retry = nil, 0, time.Time{} // was of the previous store
	a.mu.Unlock()
	select {
	case <-a.ending:
		return // Stop waits
	default:
	}
	if _, err := a.beginOnce(ctx); err != nil {
		a.later(err)
	}
}

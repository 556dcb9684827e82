package caddymodule

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// The namespaces of guest modules. A module of another project that registers
// under one of them and implements its interface can be used like a built-in
// one: `directory`, `target` and `store` take its name and hand it the rest of
// their line and block. For that it also implements [caddyfile.Unmarshaler].
const (
	directories = "password_reset.directories"
	targets     = "password_reset.targets"
	stores      = "password_reset.stores"
)

// A DirectoryOpener is a guest in password_reset.directories. OpenDirectory is
// called once while the configuration is loaded, by `caddy validate` too: it
// may read files but neither write nor dial. A directory that has a method
// Close() or Close() error is closed when nothing uses it any more.
type DirectoryOpener interface {
	OpenDirectory(Site) (reset.Directory, error)
}

// A TargetOpener is a guest in password_reset.targets, under the rules of
// [DirectoryOpener].
type TargetOpener interface {
	OpenTarget(Site) (Target, error)
}

// A Checker is a [reset.Directory] or [reset.Target] of a guest that can be tried
// without a lookup or a change. `caddy password-reset check` and the admin API call
// Check, which must change nothing; ctx gives it a minute. Where there is none they
// say that the guest was not tried.
//
// People read the findings, in a terminal and from the admin API: they must hold no
// secret, login or address. A panic is a finding of its own.
type Checker interface {
	Check(ctx context.Context) []Finding
}

// A StoreOpener is a guest in password_reset.stores. A store is opened when
// the app starts or a request comes, never by `caddy validate`, and is shared
// by all configurations of the process that name the same key: a reload
// neither closes nor reopens it.
type StoreOpener interface {
	// StoreKey names what would be opened, the same for every spelling: two
	// openers with one key must mean the same data.
	StoreKey() string
	// OpenStore opens it. A panic in here is an error to the caller.
	OpenStore(ctx context.Context, log *slog.Logger) (kv.Store, error)
}

// A LocalStore is a [StoreOpener] for data that only one process can have
// open. What an earlier process has begun is then known to be over.
type LocalStore interface {
	StoreOpener
	// KeyFile is the file of the master key for whoever configures none. It is
	// created beside a new store.
	KeyFile() string
}

// A RestorableStore is a [LocalStore] that takes a copy in its place, made by
// the [kv.Exporter] that it opens.
type RestorableStore interface {
	LocalStore
	// Stored reports whether there is anything, opening nothing.
	Stored() (bool, error)
	// ReceiveCopy stores a copy beside the data and checks what can be checked
	// without a key. The store may be open meanwhile, and is not changed.
	ReceiveCopy(ctx context.Context, r io.Reader) (StoreCopy, error)
}

// A StoreCopy waits beside the data for its place. Its Generation and
// SetGeneration are those of the store that it may replace.
type StoreCopy interface {
	sealed.Viewer
	sealed.Marker
	// Install puts the copy in the place of the data, all or nothing and
	// durably, and returns under what name those are kept. The store is not
	// open.
	Install() (kept string, err error)
	// Undo takes back what Install has done.
	Undo() error
	// Discard removes what is left of a copy. It is called in the end.
	Discard() error
}

// A Site is what a guest may know of the site that it serves.
type Site struct {
	ID      string              // `id`, by default host, port and path of `base_url`
	Name    string              // `name`, by default the host of `base_url`
	Secrets []webhookout.Secret // `webhook_secret`, newest first; may be empty
	Logger  *slog.Logger
}

// A Target is what a target guest opens for a site.
type Target struct {
	reset.Target

	// Hasher makes what the app wants in place of the password. Nil: the app
	// gets the password as it was typed.
	Hasher reset.Hasher

	// MaxBytes is the longest password that the app can take, in bytes of
	// UTF-8. 0: as long as the rules of the site allow.
	MaxBytes int

	// Timeout bounds one call of Apply. 0: 5 s.
	Timeout time.Duration
}

// closeAdapter closes what has something to close.
func closeAdapter(adapter any) {
	switch a := adapter.(type) {
	case interface{ Close() }:
		a.Close()
	case interface{ Close() error }:
		// There is nobody left to act on the error: what the adapter was for
		// has ended before.
		_ = a.Close()
	}
}

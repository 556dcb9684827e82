package caddymodule

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// putBack is the cure of a store that cannot be read.
const putBack = "stop Caddy and put a copy back: caddy password-reset restore FILE; without one, move the store away: Caddy makes a new one, and links and changes on their way are lost"

// diagnose says why the store does not open, and what to change.
func (c *storeConfig) diagnose(err error) (problem, cure string) {
	local, ok := c.opener.(LocalStore)
	own := ok && len(c.keys) == 0
	var missing *missingKey
	switch {
	case errors.Is(err, embeddedstore.ErrInUse):
		return "another process has the store open",
			"if it is the Caddy that runs this configuration, run the check without --config, or name its admin endpoint with --address; if it is another one, give each a `store` of its own"
	case errors.As(err, &missing):
		return "the store has records, and its key file " + missing.path + " is missing",
			"put the key file back from a backup, or name the key with `key`; without it nothing in the store can be read"
	case errors.Is(err, sealed.ErrKey) && own:
		return "the key in " + local.KeyFile() + " does not fit the store",
			"put the key file back that belongs to this store, or name its key with `key`"
	case errors.Is(err, sealed.ErrKey):
		return "no `key` fits the store", "write the key that the store was last used with as another `key`, below the newer ones"
	case errors.Is(err, sealed.ErrSentinel):
		return "the record that holds the store's own keys is missing or damaged", putBack
	case errors.Is(err, embeddedstore.ErrDamaged):
		_, detail, _ := strings.Cut(err.Error(), embeddedstore.ErrDamaged.Error()+": ")
		detail, _, _ = strings.Cut(detail, "; ")
		return strings.TrimSuffix("the store is damaged: "+detail, ": "), putBack
	case errors.Is(err, fs.ErrPermission):
		return "this user may not use the store: " + pathAndCause(err), "run the check as the user that Caddy runs as; if it is that one, let it own the files and their folder"
	}
	problem, cure, ok = strings.Cut(err.Error(), "; ")
	if !ok {
		cure = "see docs/operators.md, which lists what the store says"
	}
	return problem, cure
}

// pathAndCause is an error of the file system without what was tried with the file.
func pathAndCause(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Path + ": " + p.Err.Error()
	}
	return err.Error()
}

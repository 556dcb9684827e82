// Package dialect speaks the reset APIs of other back ends, so that clients
// which were written for one keep working: each vendor is one file, or a few
// that begin with its name, around a struct that maps its requests on a [web.Call] and the outcomes back on its answers.
//
// A dialect answers with the vendor's statuses, headers and bodies, key order
// included, JSON on every error of an API path, and redirects no API path. It
// tells nobody whether an account exists unless its option RevealAccounts is
// set, and then only clients that have shown its credential. What a client
// sends as a credential, a session or a cookie is neither echoed nor logged.
//
// To add a vendor, write its file and its tests and add a line to vendors.
// Nothing else knows any of them.
package dialect

import (
	"maps"
	"slices"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// vendors make a dialect with its defaults.
var vendors = map[string]func() web.Dialect{
	"baasbox":  newBaasBox,
	"buddy":    newBuddy,
	"catalyze": newCatalyze,
	"payabli":  newPayabli,
}

// Names returns the names of all dialects in order.
func Names() []string { return slices.Sorted(maps.Keys(vendors)) }

// New returns the dialect of that name with its defaults, or nil.
func New(name string) web.Dialect {
	if vendor := vendors[name]; vendor != nil {
		return vendor()
	}
	return nil
}

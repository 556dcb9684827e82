// Package passwordreset gives any web app behind Caddy a complete, safe
// "forgot my password": one block in the Caddyfile, no identity provider, two
// small HTTP endpoints in the app.
//
// It shows the form, mails a link and a code, checks the new password, and
// hands the change to the app in a signed, durable, idempotent webhook. People
// and attackers are told the same whether an account exists or not; a request
// that was accepted survives a crash; the sites around it are served whatever
// happens to it.
//
// This package only makes all of it a part of the Caddy that it is compiled
// into. Caddyfile.example is the smallest production set-up; the options are
// documented on App and Handler of package caddymodule.
package passwordreset

import (
	_ "embed"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/command"
)

//go:embed Caddyfile.example
var example string

// The demo runs the example, so that what is documented is what is shown. An
// embedded file has to lie in or below the folder of its package, which is why
// the text is handed over here.
func init() { command.UseExample(example) }

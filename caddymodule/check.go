package caddymodule

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// A Finding is what a check saw of one step. It is fine if there is no Problem; a
// Problem without Broken is advice.
type Finding struct {
	Step    string // what was tried, in a word or two
	Seen    string // what there is to know of it, "" if nothing
	Problem string // what is wrong
	Cure    string // what to change
	Broken  bool   // people cannot reset their password, or are in danger, until that is done
}

// fail makes a finding one of something broken.
func (f *Finding) fail(problem, cure string) {
	f.Seen, f.Problem, f.Cure, f.Broken = "", problem, cure, true
}

// advise makes a finding one of something that could be better.
func (f *Finding) advise(problem, cure string) {
	f.Seen, f.Problem, f.Cure, f.Broken = "", problem, cure, false
}

// The parts of a site's way that a check walks, in this order.
const (
	partStore     = "store"
	partMail      = "mail server"
	partSender    = "sender's domain"
	partDirectory = "directory"
	partTarget    = "target"
	partAddress   = "base_url"
	partProxy     = "proxy"
)

// A checkup is one walk along the configured way.
type checkup struct {
	seated
	to       string // where a test mail goes; "": none is sent
	selector string // of the key that the relay signs with (DKIM)
	tell     func(adminapi.Finding)
}

// A horizon is what a check goes by beyond the configuration. Tests have their own.
type horizon struct {
	dns      *net.Resolver
	roots    *x509.CertPool // whom visitors trust; nil: whom this machine does
	partTime time.Duration  // the longest that one part may take
	rows     int            // how many accounts of a file are not worth a word
}

// seenFromHere is the horizon of this machine.
var seenFromHere = horizon{dns: net.DefaultResolver, partTime: time.Minute, rows: manyRows}

// live reports whether a Caddy runs that uses this store, be it with another
// configuration.
func (c *checkup) live() bool { return c.running || c.inUse == c.app.store.opener.StoreKey() }

// run checks the store and then the sites, or the one that is named.
func (c *checkup) run(ctx context.Context, only string) {
	c.part(ctx, "", partStore, c.checkStore)
	ids := c.app.siteIDs()
	if len(ids) == 0 {
		c.tell(adminapi.Finding{
			Part: adminapi.PartConfig, Step: "site", Problem: "no site has `password_reset`, so there is no page to ask for a reset on", Broken: true,
			Cure: "write a `password_reset` block in the site of your app, as in Caddyfile.example",
		})
	}
	for _, id := range ids {
		if only != "" && id != only {
			continue
		}
		s := c.app.siteOf(id)
		for _, p := range []struct {
			name  string
			check func(context.Context, *site) []Finding
		}{
			{partMail, c.checkMail},
			{partSender, c.checkDomain},
			{partDirectory, c.checkDirectory},
			{partTarget, c.checkTarget},
			{partAddress, c.checkAddress},
			{partProxy, c.checkProxy},
		} {
			c.part(ctx, id, p.name, func(ctx context.Context) []Finding { return p.check(ctx, s) })
		}
	}
}

// part tells what a part of the way came to. A panic in a guest is a finding. What
// was found while whoever asked went away is none: it was cut off.
func (c *checkup) part(whole context.Context, site, name string, check func(context.Context) []Finding) {
	if whole.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(whole, c.app.horizon.partTime)
	defer cancel()
	found := func() (found []Finding) {
		defer func() {
			if e := recover(); e != nil {
				found = []Finding{{Step: "check", Problem: fmt.Sprintf("a panic (%T) ended this part of the check", e), Cure: "report it to whoever wrote the module that the Caddyfile names there", Broken: true}}
			}
		}()
		return check(ctx)
	}()
	if whole.Err() != nil {
		return
	}
	for _, f := range found {
		c.tell(adminapi.Finding{Site: site, Part: name, Step: f.Step, Seen: f.Seen, Problem: f.Problem, Cure: f.Cure, Broken: f.Broken})
	}
}

// siteOf returns the site with that id.
func (a *App) siteOf(id string) *site {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sites[id]
}

// checkTarget tries the hook, if it is one.
func (c *checkup) checkTarget(ctx context.Context, s *site) []Finding {
	return checkAdapter(ctx, s.config.Target)
}

// checkAdapter tries what can be tried of a directory or a target.
func checkAdapter(ctx context.Context, adapter any) []Finding {
	switch a := adapter.(type) {
	case interface {
		Ping(context.Context) []webhookout.Finding
	}:
		return findings(a.Ping(ctx))
	case Checker:
		return a.Check(ctx)
	default:
		return []Finding{{Step: "guest", Seen: "not tried: its module has no check"}}
	}
}

// findings takes over what an adapter has found.
func findings[F ~struct {
	Step    string
	Seen    string
	Problem string
	Cure    string
	Broken  bool
}](all []F,
) (found []Finding) {
	for _, f := range all {
		found = append(found, Finding(f))
	}
	return found
}

// several is a number of things.
func several(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

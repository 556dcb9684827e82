package caddymodule

import (
	"cmp"
	"context"
	"net/mail"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/senderdomain"
)

// checkMail walks the way to the relay up to the sender's address, and sends a
// mail if one was asked for.
func (c *checkup) checkMail(ctx context.Context, s *site) []Finding {
	found := findings(s.mailer.Probe(ctx, s.from))
	for _, f := range found {
		if f.Broken {
			return found
		}
	}
	if c.to != "" {
		found = append(found, c.sendSample(ctx, s))
	}
	return found
}

// sendSample sends what somebody gets who has forgotten their password, but for
// link and code, which open nothing.
func (c *checkup) sendSample(ctx context.Context, s *site) Finding {
	step := Finding{Step: "test mail"}
	to := reset.Account{ID: "check", Login: "check", Email: c.to}
	if err := to.Check(); err != nil {
		step.fail("the address of --to is none that mail goes to", "write a plain address, such as you@example.com")
		return step
	}
	now := time.Now()
	nothing := strings.Repeat("0", 64)
	m, err := s.config.Composer.Compose(reset.Letter{
		Kind: reset.LetterReset, To: to,
		MessageID: "check." + now.UTC().Format("20060102150405.000000000"), Reference: "TEST-MAIL",
		At: now, Link: s.web.Link("", nothing), CancelLink: s.web.CancelLink(nothing), AskLink: s.web.AskLink(),
		Code: "00000000", LinkTTL: s.config.LinkTTL, CodeTTL: s.config.CodeTTL,
	})
	if err != nil {
		step.fail("the mail cannot be written: "+err.Error(), "correct the letter in `templates`")
		return step
	}
	d := s.config.Mailer.Send(ctx, m)
	if d.Status != reset.Sent {
		problem, cure := "the mail server does not take it", "see the mail server's log"
		if d.Err != nil {
			problem += ": " + d.Err.Error()
		}
		if d.Status == reset.Rejected {
			cure = "see that the address exists, and have the mail server relay for this machine or login: its log says what it minds"
		}
		step.fail(problem, cure)
		return step
	}
	step.Seen = "taken: " + cmp.Or(d.Answer, "by the mail server") + "; its link and code open nothing"
	return step
}

// reservedDomains are those that no mail comes from (RFC 2606, RFC 6761).
var reservedDomains = []string{"example.com", "example.net", "example.org", "example", "test", "invalid", "localhost"}

// checkDomain says what the sender's domain could publish, so that mails arrive.
func (c *checkup) checkDomain(ctx context.Context, s *site) (found []Finding) {
	from, err := mail.ParseAddress(s.from)
	if err != nil {
		return nil // refused when it was loaded
	}
	_, domain, _ := strings.Cut(strings.ToLower(from.Address), "@")
	for _, d := range reservedDomains {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return []Finding{{
				Step: "name", Problem: "no mail comes from " + domain + ", a name for examples and tests: receivers refuse it",
				Cure: "write an address of a domain of yours as `from`",
			}}
		}
	}
	for _, f := range senderdomain.Check(ctx, c.app.horizon.dns, domain, c.selector) {
		found = append(found, Finding{Step: f.Step, Seen: f.Seen, Problem: f.Problem, Cure: f.Cure})
	}
	return found
}

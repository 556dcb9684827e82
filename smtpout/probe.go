package smtpout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// The steps of a [Client.Probe].
const (
	StepName        = "name"
	StepConnect     = "connect"
	StepGreeting    = "greeting"
	StepHello       = "EHLO"
	StepStartTLS    = "STARTTLS"
	StepTLS         = "TLS"
	StepCertificate = "certificate"
	StepAuth        = "AUTH"
	StepSender      = "sender"
)

// soon is how long before its end a certificate is worth a word. Those of a few
// days are renewed later, see [expiring].
const soon = 14 * 24 * time.Hour

// A Finding is what [Client.Probe] saw of one step. It is fine if there is no
// Problem. A Problem without Broken is advice: mails leave all the same.
type Finding struct {
	Step    string // one of the Step constants
	Seen    string // what there is to know of it, "" if nothing
	Problem string // what is wrong
	Cure    string // what to change
	Broken  bool   // no mail leaves until that is done
}

// Probe walks the way of a mail from sender from as far as it goes without one:
// a connection of its own, made like every other, up to MAIL, which it takes
// back. It returns a finding for each step, and ends at the first that is
// broken. With an empty from it ends with the login. It takes as long as ctx
// allows, and a minute at most.
//
// A finding quotes nothing that the relay says but numbers, and names in its
// certificate that can be a host's.
func (c *Client) Probe(ctx context.Context, from string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	steps := c.steps(from)
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return []Finding{{
			Step: StepConnect, Broken: true,
			Problem: "all connections that may be open at once were busy with mails the whole time",
			Cure:    "try again; if it stays so, raise `connections` in the block of `smtp`",
		}}
	}
	raw, err := c.dial(ctx)
	if err != nil {
		return c.report(steps, nil, err)
	}
	s := newSession(raw)
	s.fresh = true // a resumed one would show the certificate of then
	end := s.begin(ctx)
	defer end()
	if err = c.establish(ctx, s); err == nil && from != "" {
		err = s.offer(ctx, from)
	}
	if err == nil || err.code != 0 {
		s.quit()
	} else {
		s.close()
	}
	return c.report(steps, s, err)
}

// offer announces a mail from somebody and takes that back.
func (s *session) offer(ctx context.Context, from string) *failure {
	from, err := reset.EnvelopeAddress(from)
	if err != nil || !ascii(from) {
		return misconfigured(stageMail, "sender address is not valid")
	}
	if _, err := s.ask(s.mail(envelope{from: from}), 250); err != nil {
		return fail(ctx, stageMail, err)
	}
	if _, err := s.ask("RSET", 250); err != nil {
		return fail(ctx, stageMail, err)
	}
	return nil
}

// steps lists what a probe takes, in this order.
func (c *Client) steps(from string) []string {
	var steps []string
	if _, err := netip.ParseAddr(c.host); err != nil {
		steps = append(steps, StepName)
	}
	steps = append(steps, StepConnect)
	protected := []string{StepTLS, StepCertificate}
	spoken := []string{StepGreeting, StepHello}
	switch c.security {
	case off:
		steps = append(steps, spoken...)
	case implicit:
		steps = append(append(steps, protected...), spoken...)
	case starttls:
		steps = append(append(append(steps, spoken...), StepStartTLS), protected...)
	}
	if c.user != "" {
		steps = append(steps, StepAuth)
	}
	if from != "" {
		steps = append(steps, StepSender)
	}
	return steps
}

// report turns the way to f, nil for all of it, into findings.
func (c *Client) report(steps []string, s *session, f *failure) []Finding {
	if f == nil {
		return c.passed(steps, s)
	}
	last := f.step()
	found := c.passed(steps[:max(slices.Index(steps, last), 0)], s)
	problem, cure := c.diagnose(last, f, s)
	return append(found, Finding{Step: last, Problem: problem, Cure: cure, Broken: true})
}

// step is where on the way a failure stands.
func (f *failure) step() string {
	switch f.stage {
	case stageConnect:
		if dns := (*net.DNSError)(nil); errors.As(f.err, &dns) {
			return StepName
		}
		return StepConnect
	case stageTLS:
		if unverified(f.err) != nil {
			return StepCertificate
		}
		return StepTLS
	case stageGreeting:
		return StepGreeting
	case stageHello:
		return StepHello
	case stageStartTLS:
		return StepStartTLS
	case stageAuth:
		return StepAuth
	}
	return StepSender
}

// passed says of each step what was seen.
func (c *Client) passed(steps []string, s *session) []Finding {
	found := make([]Finding, 0, len(steps)+1)
	for _, step := range steps {
		f := Finding{Step: step}
		switch step {
		case StepConnect:
			f.Seen = s.conn.RemoteAddr().String()
		case StepHello:
			f.Seen = "as " + c.hello
			if c.hello == "localhost" && !loopback(c.host) {
				f.Problem = "this machine calls itself localhost, which many relays take for spam"
				f.Cure = "write `hello HOST` in the block of `smtp`, with the name of this machine in the DNS"
			}
		case StepTLS:
			if state, ok := s.secured(); ok {
				f.Seen = tls.VersionName(state.Version)
			}
		case StepCertificate:
			if state, ok := s.secured(); ok {
				f.Seen, f.Problem, f.Cure = expiring(state.PeerCertificates[0], time.Now())
			}
		case StepAuth:
			f.Seen = c.choose(s.client)
		case StepSender:
			f.Seen = "accepted; a relay may still refuse it where it learns the recipient, which a test mail shows"
		}
		found = append(found, f)
	}
	return found
}

// secured returns what is known of the TLS of a session.
func (s *session) secured() (tls.ConnectionState, bool) {
	t, ok := s.stream.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return t.ConnectionState(), true
}

// expiring says until when a certificate is valid, and speaks up when it should
// have been renewed by now: a good while before its end, but not earlier than in
// the last quarter of its life.
func expiring(cert *x509.Certificate, now time.Time) (seen, problem, cure string) {
	left := cert.NotAfter.Sub(now)
	days := int(left / (24 * time.Hour))
	seen = fmt.Sprintf("valid until %s, %d days from now", cert.NotAfter.UTC().Format(time.DateOnly), days)
	if left < min(soon, cert.NotAfter.Sub(cert.NotBefore)/4) {
		problem = fmt.Sprintf("the relay's certificate ends in %d days, and no mail leaves from then on", days)
		cure = "renew it at the relay, and have the relay read the new one"
	}
	return seen, problem, cure
}

// certified lists what a certificate is for, as far as it can be a host: the
// rest is text that its owner chose freely.
func certified(cert *x509.Certificate) []string {
	var names []string
	for _, name := range cert.DNSNames {
		if helloName(strings.TrimPrefix(name, "*.")) {
			names = append(names, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names[:min(len(names), 3)]
}

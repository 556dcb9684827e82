// Package senderdomain looks at what the DNS says about the domain that mails
// are sent from, and gives advice: without SPF, DKIM and DMARC many receivers
// put them into the spam folder or refuse them.
//
// It gives advice and never an error. Mails leave without any of it, only the
// relay knows with which addresses and keys it sends, and a resolver that does
// not answer says nothing about the domain. What is published is judged by its
// form alone, and never quoted: it is foreign text.
package senderdomain

import (
	"context"
	"errors"
	"net"
	"strings"
)

// What [Check] looks at.
const (
	StepMX    = "MX"
	StepSPF   = "SPF"
	StepDMARC = "DMARC"
	StepDKIM  = "DKIM"
)

// A Finding is what there is to say of one kind of record. It is fine if there
// is no Problem.
type Finding struct {
	Step    string // one of the Step constants
	Seen    string // what there is to know of it, "" if nothing
	Problem string // what could be better
	Cure    string // what to publish
}

// A Resolver asks the DNS, as [net.Resolver] does.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Check looks at a domain, in A-labels. The selector is that of the key with
// which the relay signs (DKIM): without one, as "", nothing can be said of
// that, as the DNS does not list them.
func Check(ctx context.Context, r Resolver, domain, selector string) []Finding {
	domain = strings.TrimSuffix(domain, ".")
	return []Finding{
		checkMX(ctx, r, domain),
		checkSPF(ctx, r, domain),
		checkDMARC(ctx, r, domain),
		checkDKIM(ctx, r, domain, selector),
	}
}

// checkMX finds a domain that says it has no mail at all (RFC 7505): receivers
// refuse mail from it. One without MX may have its mail at its address.
func checkMX(ctx context.Context, r Resolver, domain string) Finding {
	f := Finding{Step: StepMX}
	hosts, err := r.LookupMX(ctx, rooted(domain))
	switch {
	case err != nil && !notFound(err):
		return f.unknown(domain)
	case len(hosts) == 1 && (hosts[0].Host == "." || hosts[0].Host == ""):
		f.Problem = "the domain " + domain + " says that it neither takes nor sends mail, so receivers may refuse ours"
		f.Cure = "publish the MX records of the host that takes its mail, or write another domain in `from`"
	case len(hosts) > 0:
		f.Seen = "published"
	}
	return f
}

// checkSPF judges the record of RFC 7208. How many lookups it costs, and
// whether it lets the relay send, is beyond us.
func checkSPF(ctx context.Context, r Resolver, domain string) Finding {
	f := Finding{Step: StepSPF}
	texts, err := r.LookupTXT(ctx, rooted(domain))
	if err != nil && !notFound(err) {
		return f.unknown(domain)
	}
	var records []string
	for _, text := range texts {
		if version, _, _ := strings.Cut(text, " "); strings.EqualFold(version, "v=spf1") {
			records = append(records, text)
		}
	}
	switch len(records) {
	case 0:
		f.Problem = "no SPF record says which machines may send mail from " + domain
		f.Cure = "publish a TXT record at " + domain + ` such as "v=spf1 mx ~all", with the term that your relay's operator gives`
	case 1:
		f.Seen = "published"
		if anyone(records[0]) {
			f.Problem = "the SPF record of " + domain + " lets every machine send mail in its name"
			f.Cure = "end it in ~all or -all instead of +all"
		}
	default:
		f.Problem = domain + " has several SPF records, and receivers then heed none (RFC 7208 section 4.5)"
		f.Cure = "make one TXT record of them, with one v=spf1 and one all at its end"
	}
	return f
}

// anyone says whether a record passes every machine. Terms are tried from left
// to right, and what stands behind "all" is not looked at.
func anyone(record string) bool {
	for _, term := range strings.Fields(record)[1:] {
		switch strings.ToLower(term) {
		case "all", "+all":
			return true
		case "-all", "~all", "?all":
			return false
		}
	}
	return false
}

// unknown is a finding where the DNS did not answer.
func (f Finding) unknown(name string) Finding {
	f.Problem = "the records of " + name + " could not be looked up, so nothing can be said of " + f.Step
	f.Cure = "try again; if it stays so, see that the resolver of this machine answers"
	return f
}

// rooted keeps a resolver from trying its search domains: their records would
// be taken for the domain's.
func rooted(name string) string { return name + "." }

func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

var _ Resolver = (*net.Resolver)(nil)

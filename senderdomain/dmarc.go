package senderdomain

import (
	"context"
	"strings"
)

// maxParents bounds how far up the record is looked for.
const maxParents = 8

// checkDMARC judges the record of RFC 7489. Where the domain has none, that of
// a domain above it holds, with sp for those below if there is one.
func checkDMARC(ctx context.Context, r Resolver, domain string) Finding {
	f := Finding{Step: StepDMARC}
	at := domain
	var records []string
	for range maxParents {
		texts, err := r.LookupTXT(ctx, rooted("_dmarc."+at))
		if err != nil && !notFound(err) {
			return f.unknown("_dmarc." + at)
		}
		if records = dmarcRecords(texts); len(records) > 0 {
			break
		}
		_, parent, _ := strings.Cut(at, ".")
		if !strings.Contains(parent, ".") {
			break // a top-level domain says nothing about others' mail
		}
		at = parent
	}
	const example = `"v=DMARC1; p=quarantine; rua=mailto:postmaster@`
	switch len(records) {
	case 0:
		f.Problem = "no DMARC record says what receivers shall do with mail that somebody forges in the name of " + domain
		f.Cure = "publish a TXT record at _dmarc." + domain + " such as " + example + domain + `"; begin with p=none to see the reports first`
		return f
	case 1:
	default:
		f.Problem = "there are several DMARC records at _dmarc." + at + ", and receivers then heed none"
		f.Cure = "leave one of them"
		return f
	}
	policy, ok := dmarcPolicy(records[0], at != domain)
	switch {
	case !ok:
		f.Problem = "the DMARC record at _dmarc." + at + " is malformed, so receivers do not heed it"
		f.Cure = "publish one such as " + example + at + `": v first, then p, each ended by a semicolon`
	case policy == "none":
		f.Problem = "the DMARC record at _dmarc." + at + " only watches (p=none): receivers let forged mail through"
		f.Cure = "when its reports show that your own mail passes, publish p=quarantine, later p=reject"
		if at != domain {
			f.Cure += " (sp= for domains below, if it is there)"
		}
	default:
		f.Seen = "p=" + policy
	}
	return f
}

// dmarcRecords returns what means to be a record.
func dmarcRecords(texts []string) (records []string) {
	for _, text := range texts {
		head := strings.ReplaceAll(text[:min(len(text), 20)], " ", "")
		if len(head) >= 8 && strings.EqualFold(head[:8], "v=DMARC1") {
			records = append(records, text)
		}
	}
	return records
}

// dmarcPolicy returns the policy for a domain, or for one below it.
func dmarcPolicy(record string, below bool) (policy string, ok bool) {
	tags, ok := parseTags(record)
	if !ok || tags[0].name != "v" || tags[0].value != "DMARC1" {
		return "", false
	}
	policy, ok = tags.value("p")
	if own, found := tags.value("sp"); below && found {
		policy, ok = own, true
	}
	switch policy = strings.ToLower(policy); policy {
	case "none", "quarantine", "reject":
		return policy, ok
	}
	return "", false
}

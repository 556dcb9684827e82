package senderdomain_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/senderdomain"
)

// A zone answers for the names in it, as *net.Resolver does: a record is the
// text of a TXT, or "MX " and a host. A name with "SERVFAIL" cannot be looked up.
type zone map[string][]string

func (z zone) look(name string) ([]string, error) {
	records, ok := z[name]
	switch {
	case len(records) == 1 && records[0] == "SERVFAIL":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return records, nil
}

func (z zone) LookupTXT(_ context.Context, name string) (texts []string, err error) {
	records, err := z.look(name)
	for _, r := range records {
		if !strings.HasPrefix(r, "MX ") {
			texts = append(texts, r)
		}
	}
	return texts, err
}

func (z zone) LookupMX(_ context.Context, name string) (hosts []*net.MX, err error) {
	records, err := z.look(name)
	for _, r := range records {
		if host, ok := strings.CutPrefix(r, "MX "); ok {
			hosts = append(hosts, &net.MX{Host: host})
		}
	}
	return hosts, err
}

// good is a zone in which nothing is to be said of mail.example.com.
func good() zone {
	return zone{
		"mail.example.com.":                {"MX mx.example.com.", "v=spf1 mx ~all", "some-site-verification=abc"},
		"_dmarc.mail.example.com.":         {"v=DMARC1; p=reject; rua=mailto:x@example.com"},
		"s1._domainkey.mail.example.com.":  {"v=DKIM1; k=rsa; p=MIGf MA0G"},
		"two._domainkey.mail.example.com.": {"k=ed25519; p=MIGfMA0G"},
	}
}

func TestGood(t *testing.T) {
	want := []senderdomain.Finding{
		{Step: "MX", Seen: "published"}, {Step: "SPF", Seen: "published"}, {Step: "DMARC", Seen: "p=reject"}, {Step: "DKIM", Seen: "published"},
	}
	for _, selector := range []string{"s1", "two"} {
		if diff := cmp.Diff(want, senderdomain.Check(t.Context(), good(), "mail.example.com.", selector)); diff != "" {
			t.Errorf("selector %s: %s", selector, diff)
		}
	}
}

func TestAdvice(t *testing.T) {
	const (
		domain = "mail.example.com."
		dmarc  = "_dmarc." + domain
		key    = "s1._domainkey." + domain
	)
	for _, tt := range []struct {
		name          string
		at            string
		records       []string // nil for none
		step          string
		problem, cure string // "" if there is nothing to say
	}{
		{"null MX", domain, []string{"MX .", "v=spf1 -all"}, "MX", "neither takes nor sends mail", "another domain in `from`"},
		{"no MX, so its address", domain, []string{"v=spf1 mx -all"}, "MX", "", ""},
		{"nothing at the domain", domain, nil, "MX", "", ""},
		{"no answer for the domain", domain, []string{"SERVFAIL"}, "MX", "could not be looked up, so nothing can be said of MX", "try again"},

		{"no SPF", domain, []string{"MX mx.example.com.", "v=spf10 mx"}, "SPF", "no SPF record says which machines may send mail from mail.example.com", `"v=spf1 mx ~all"`},
		{"no record at all", domain, nil, "SPF", "no SPF record", "publish a TXT record at mail.example.com"},
		{"several SPF", domain, []string{"v=spf1 mx -all", "V=SPF1 a -all"}, "SPF", "several SPF records", "one TXT record"},
		{"+all", domain, []string{"v=spf1 mx +all"}, "SPF", "lets every machine send", "~all"},
		{"all", domain, []string{"v=spf1 ALL"}, "SPF", "lets every machine send", "~all"},
		{"+all behind -all", domain, []string{"v=spf1 -all +all"}, "SPF", "", ""},
		{"like +all", domain, []string{"v=spf1 include:+all.example.com redirect=all"}, "SPF", "", ""},
		{"bare SPF", domain, []string{"v=spf1"}, "SPF", "", ""},
		{"no answer for SPF", domain, []string{"SERVFAIL"}, "SPF", "could not be looked up", "try again"},

		{"no DMARC", dmarc, nil, "DMARC", "no DMARC record", "at _dmarc.mail.example.com such as"},
		{"not DMARC", dmarc, []string{"hello", "v=DMARC", ""}, "DMARC", "no DMARC record", "p=none to see"},
		{"several DMARC", dmarc, []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}, "DMARC", "several DMARC records", "leave one"},
		{"p=none", dmarc, []string{"v=DMARC1;p=None;"}, "DMARC", "only watches (p=none)", "p=quarantine"},
		{"no p", dmarc, []string{"v=DMARC1; rua=mailto:x@example.com"}, "DMARC", "malformed", "v first, then p"},
		{"no semicolon", dmarc, []string{"v=DMARC1 p=reject"}, "DMARC", "malformed", "semicolon"},
		{"unknown p", dmarc, []string{"v=DMARC1; p=delete"}, "DMARC", "malformed", "p=quarantine"},
		{"small v", dmarc, []string{"v=dmarc1; p=reject"}, "DMARC", "malformed", "v=DMARC1"},
		{"p twice", dmarc, []string{"v=DMARC1; p=reject; p=none"}, "DMARC", "malformed", "p=quarantine"},
		{"not a list", dmarc, []string{"v=DMARC1; reject"}, "DMARC", "malformed", "p=quarantine"},
		{"spaces", dmarc, []string{"v = DMARC1 ; p = reject"}, "DMARC", "", ""},
		{"sp counts below only", dmarc, []string{"v=DMARC1; p=reject; sp=none"}, "DMARC", "", ""},
		{"no answer for DMARC", dmarc, []string{"SERVFAIL"}, "DMARC", "could not be looked up", "try again"},

		{"no key", key, nil, "DKIM", "no DKIM key at s1._domainkey.mail.example.com", "correct the selector"},
		{"several keys", key, []string{"p=MIGf", "p=MIGg"}, "DKIM", "several TXT records", "leave one"},
		{"revoked", key, []string{"v=DKIM1; p="}, "DKIM", "revoked", "present one"},
		{"not a key", key, []string{"v=spf1 mx"}, "DKIM", "is no DKIM key", "v=DKIM1"},
		{"key cut", key, []string{"v=DKIM1; p=MIGfM"}, "DKIM", "is no DKIM key", "all of it"},
		{"another version", key, []string{"v=DKIM2; p=MIGf"}, "DKIM", "is no DKIM key", "v=DKIM1"},
		{"version not first", key, []string{"p=MIGf; v=DKIM1"}, "DKIM", "is no DKIM key", "v=DKIM1"},
		{"empty text", key, []string{""}, "DKIM", "is no DKIM key", "v=DKIM1"},
		{"no answer for the key", key, []string{"SERVFAIL"}, "DKIM", "could not be looked up", "try again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := good()
			if delete(z, tt.at); tt.records != nil {
				z[tt.at] = tt.records
			}
			for _, f := range senderdomain.Check(t.Context(), z, "mail.example.com", "s1") {
				if f.Step == tt.step && (!strings.Contains(f.Problem, tt.problem) || !strings.Contains(f.Cure, tt.cure) ||
					(tt.problem == "") != (f.Problem == "") || (f.Problem == "") != (f.Cure == "")) {
					t.Errorf("%+v, want %q, %q", f, tt.problem, tt.cure)
				}
			}
		})
	}
}

// TestDMARCAbove holds that a domain without a record goes by one above it, as
// receivers have it.
func TestDMARCAbove(t *testing.T) {
	for _, tt := range []struct {
		name, record string
		problem      string
		seen         string
	}{
		{"p", "v=DMARC1; p=quarantine", "", "p=quarantine"},
		{"sp", "v=DMARC1; p=none; sp=reject", "", "p=reject"},
		{"sp=none", "v=DMARC1; p=reject; sp=none", "at _dmarc.example.com only watches", ""},
		{"malformed", "v=DMARC1; sp=reject=", "at _dmarc.example.com is malformed", ""},
	} {
		z := zone{"_dmarc.example.com.": {tt.record}, "_dmarc.com.": {"v=DMARC1; p=reject"}}
		f := senderdomain.Check(t.Context(), z, "a.b.example.com", "")[2]
		if f.Step != "DMARC" || f.Seen != tt.seen || (f.Problem == "") != (tt.problem == "") || !strings.Contains(f.Problem, tt.problem) {
			t.Errorf("%s: %+v", tt.name, f)
		}
	}
	z := zone{"_dmarc.com.": {"v=DMARC1; p=reject"}}
	if f := senderdomain.Check(t.Context(), z, "example.com", "")[2]; !strings.Contains(f.Problem, "no DMARC record") {
		t.Errorf("a top-level domain was asked: %+v", f)
	}
	r := &counting{}
	if f := senderdomain.Check(t.Context(), r, strings.Repeat("a.", 100)+"example.com", "")[2]; f.Problem == "" || r.asked > 10 {
		t.Errorf("%d questions: %+v", r.asked, f)
	}
}

// A counting resolver knows nothing.
type counting struct {
	zone
	asked int
}

func (c *counting) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.asked++
	return c.zone.LookupTXT(ctx, name)
}

// TestNoSelector holds that of a key that cannot be found nothing bad is said.
func TestNoSelector(t *testing.T) {
	if f := senderdomain.Check(t.Context(), good(), "mail.example.com", "")[3]; f.Step != "DKIM" || f.Problem != "" || !strings.Contains(f.Seen, "selector") {
		t.Errorf("%+v", f)
	}
}

// FuzzRecords holds that no record that somebody publishes stops the check or
// gets a word of its own into a finding.
func FuzzRecords(f *testing.F) {
	for _, records := range good() {
		for _, r := range records {
			f.Add(r)
		}
	}
	f.Add("v=spf1 \t+all")
	f.Add("v=DMARC1;;=;p")
	f.Fuzz(func(t *testing.T, record string) {
		record = strings.TrimPrefix(record, "MX ")
		z := zone{
			"example.com.":               {"v=spf1 " + record + " SECRETWORD"},
			"_dmarc.example.com.":        {"v=DMARC1" + record + " SECRETWORD"},
			"s._domainkey.example.com.":  {record + ";SECRETWORD="},
			"s2._domainkey.example.com.": {record},
		}
		for _, selector := range []string{"s", "s2"} {
			for _, found := range senderdomain.Check(t.Context(), z, "example.com", selector) {
				if text := found.Seen + found.Problem + found.Cure; strings.Contains(text, "SECRETWORD") {
					t.Errorf("it quotes the record: %s", text)
				}
			}
		}
	})
}

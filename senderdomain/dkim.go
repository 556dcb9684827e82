package senderdomain

import (
	"context"
	"encoding/base64"
	"strings"
)

// checkDKIM judges the key of a selector (RFC 6376 section 3.6.1).
func checkDKIM(ctx context.Context, r Resolver, domain, selector string) Finding {
	f := Finding{Step: StepDKIM}
	if selector == "" {
		f.Seen = "not looked at: that needs the selector of the relay's key, which stands as s= in the DKIM-Signature of a mail"
		return f
	}
	name := selector + "._domainkey." + domain
	texts, err := r.LookupTXT(ctx, rooted(name))
	if err != nil && !notFound(err) {
		return f.unknown(name)
	}
	switch len(texts) {
	case 0:
		f.Problem = "there is no DKIM key at " + name
		f.Cure = "publish there the TXT record that the relay's operator gives, or correct the selector"
		return f
	case 1:
	default:
		f.Problem = "there are several TXT records at " + name + ", and receivers may take any of them for the DKIM key"
		f.Cure = "leave one there, that of the key with which the relay signs"
		return f
	}
	tags, ok := parseTags(texts[0])
	key, found := tags.value("p")
	switch {
	case !ok, !found, tags.has("v") && (tags[0].name != "v" || tags[0].value != "DKIM1"), !base64Text(key):
		f.Problem = "the TXT record at " + name + " is no DKIM key"
		f.Cure = `publish "v=DKIM1; k=rsa; p=…" there, all of it as the relay's operator gives it`
	case key == "":
		f.Problem = "the DKIM key at " + name + " is revoked"
		f.Cure = "publish the key with which the relay signs, or give the selector of its present one"
	default:
		f.Seen = "published"
	}
	return f
}

// A tag is one name=value of a list.
type tag struct{ name, value string }

// tags is what DKIM and DMARC write in their records (RFC 6376 section 3.2).
type tags []tag

// parseTags reports false if there is none, one without "=", or one twice.
func parseTags(record string) (list tags, ok bool) {
	for part := range strings.SplitSeq(record, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" || list.has(name) {
			return nil, false
		}
		list = append(list, tag{name, strings.TrimSpace(value)})
	}
	return list, len(list) > 0
}

func (l tags) has(name string) bool {
	_, found := l.value(name)
	return found
}

// value returns that of a tag, whose name is compared with case.
func (l tags) value(name string) (value string, found bool) {
	for _, t := range l {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// base64Text says whether a value is base64, in which space may stand.
func base64Text(value string) bool {
	_, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
	return err == nil
}

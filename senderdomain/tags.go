package senderdomain

import (
	"encoding/base64"
	"strings"
)

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

package dialect

import (
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	// buddyMedia is that of every answer: one client compares the whole value.
	buddyMedia = "application/json"

	// buddyUser is the name of the account; `username` is the same name.
	buddyUser = "userName"

	maxBuddyFields = 64
)

// buddyFields are what a body says, by names in lower case: no two SDKs agree
// on theirs. What is null is not there.
type buddyFields map[string]buddyField

// A buddyField is one value.
type buddyField struct {
	text  string
	other bool // it is not text: a number, an object, half a character
}

// readBuddyFields reads a JSON object or a form. Text that is not UTF-8 is read
// as ISO 8859-1, in which the Android SDK sends its JSON.
func readBuddyFields(c *web.Call) (buddyFields, web.Fault) {
	media, charset, ok := c.Media()
	if !ok {
		return nil, web.FaultMedia
	}
	decode := decodeUnknown
	switch charset {
	case "", "utf-8":
	case "iso-8859-1":
		decode = decodeLatin1
	default:
		return nil, web.FaultMedia
	}
	var parse func(string, func(string) string) (buddyFields, bool)
	switch media {
	case "application/json":
		parse = parseBuddyJSON
	case "application/x-www-form-urlencoded":
		parse = parseBuddyForm
	default:
		return nil, web.FaultMedia
	}
	body, fault := c.Body()
	if fault != "" {
		return nil, fault
	}
	fields, ok := parse(string(body), decode)
	if !ok {
		return nil, web.FaultRequest
	}
	return fields, ""
}

func parseBuddyJSON(body string, decode func(string) string) (buddyFields, bool) {
	o, err := strictjson.Parse([]byte(decode(body)))
	if err != nil || len(o) > maxBuddyFields {
		return nil, false
	}
	fields := make(buddyFields, len(o))
	for name, raw := range o {
		if string(raw) == "null" {
			continue
		}
		// Names that are equal when folded were refused.
		text, ok := o.Text(name)
		fields[reset.Fold(name)] = buddyField{text: text, other: !ok}
	}
	return fields, true
}

// parseBuddyForm reads a form. A name that comes twice is refused, in another
// case too.
func parseBuddyForm(body string, decode func(string) string) (buddyFields, bool) {
	form, ok := web.ParseForm([]byte(body))
	if !ok || len(form) == 0 {
		return nil, false
	}
	fields := make(buddyFields, len(form))
	for name, values := range form {
		name = reset.Fold(name)
		if _, twice := fields[name]; twice || len(values) != 1 {
			return nil, false
		}
		fields[name] = buddyField{text: decode(values[0])}
	}
	return fields, true
}

func decodeUnknown(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return decodeLatin1(s)
}

func decodeLatin1(s string) string {
	runes := make([]rune, 0, len(s))
	for _, c := range []byte(s) {
		runes = append(runes, rune(c))
	}
	return string(runes)
}

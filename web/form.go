package web

import (
	"net/http"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

// maxBody bounds the body of our own forms.
const maxBody = 16 << 10

// fields are what a request's body says. Only single fields are in it.
type fields map[string]string

// read takes the fields from the body, or says which fault the request has.
func read(w http.ResponseWriter, r *http.Request) (fields, Fault) {
	decode := decoderFor(r.Header)
	if decode == nil {
		return nil, FaultMedia
	}
	body, fault := readBody(w, r, maxBody)
	if fault != "" {
		return nil, fault
	}
	f, ok := decode(body)
	if !ok {
		return nil, FaultRequest
	}
	return f, ""
}

// decoderFor returns the decoder that the Content-Type asks for, or nil. JSON
// in text/plain is what another site can send without a preflight, so that
// nothing is guessed.
func decoderFor(h http.Header) func([]byte) (fields, bool) {
	media, charset, ok := mediaType(h)
	if !ok || charset != "" && charset != "utf-8" {
		return nil
	}
	switch media {
	case "application/x-www-form-urlencoded":
		return decodeForm
	case "application/json":
		return decodeObject
	}
	return nil
}

// decodeForm reads a form strictly: a field that comes twice is no field that
// can be asked for.
func decodeForm(body []byte) (fields, bool) {
	values, ok := ParseForm(body)
	if !ok {
		return nil, false
	}
	f := make(fields, len(values))
	for name, list := range values {
		if len(list) != 1 {
			return nil, false
		}
		// Whether a password is text is judged with the other rules for it.
		if !utf8.ValidString(list[0]) && !isPassword(name) {
			return nil, false
		}
		f[name] = list[0]
	}
	return f, true
}

func isPassword(field string) bool { return field == "password" || field == "password_repeat" }

// decodeObject reads one JSON object. Members that are not strings are left
// out.
func decodeObject(body []byte) (fields, bool) {
	o, err := strictjson.Parse(body)
	if err != nil || len(o) > maxFields {
		return nil, false
	}
	f := make(fields)
	for name := range o {
		if text, ok := o.Text(name); ok {
			f[name] = text
		}
	}
	return f, true
}

// all returns the values of names, in order, and whether all of them are there.
func (f fields) all(names ...string) ([]string, bool) {
	values := make([]string, len(names))
	for i, name := range names {
		v, ok := f[name]
		if !ok {
			return nil, false
		}
		values[i] = v
	}
	return values, true
}

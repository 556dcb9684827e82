package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

const (
	maxBody   = 16 << 10
	maxFields = 64

	// bodyTime bounds how long a body may take: servers have no read time-out
	// of their own unless told, and half-open requests would pile up.
	bodyTime = 15 * time.Second
)

// fields are what a request's body says. Only single fields are in it.
type fields map[string]string

// read takes the fields from the body, or says which fault the request has. It
// looks at what is announced before it reads anything.
func read(w http.ResponseWriter, r *http.Request) (fields, Fault) {
	// Nothing is decompressed: 16 KiB could become gigabytes.
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, FaultMedia
	}
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

// readBody reads a body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, Fault) {
	if r.ContentLength > limit {
		return nil, FaultTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, FaultTooLarge
		}
		return nil, FaultRequest
	}
	unguard(w, r)
	return body, ""
}

// guard bounds the time that a body may take, on routes that read none as
// well: net/http reads what is left of it before it answers, and a client that
// sends nothing more would hold the answer, and what was taken for it, for
// ever. Without a body that was read the connection cannot go on, anyway.
func guard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	// Not every ResponseWriter has deadlines; those of Caddy do.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// unguard is called when the whole body was read.
func unguard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	w.Header().Del("Connection")
}

// decoderFor returns the decoder that the Content-Type asks for, or nil. JSON
// in text/plain is what another site can send without a preflight, so that
// nothing is guessed.
func decoderFor(h http.Header) func([]byte) (fields, bool) {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if err != nil {
		return nil
	}
	for name, value := range parameters {
		if name != "charset" || string(fold([]byte(value))) != "utf-8" {
			return nil
		}
	}
	switch media {
	case "application/x-www-form-urlencoded":
		return decodeForm
	case "application/json":
		return decodeObject
	}
	return nil
}

// isJSON tells whether the body is announced as JSON.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// decodeForm reads a form (WHATWG URL, section 5.1) strictly: a field that
// comes twice is no field that can be asked for, since every parser takes
// another one of the two (CVE-2023-7028).
func decodeForm(body []byte) (fields, bool) {
	text := string(body)
	if strings.Count(text, "&") >= maxFields {
		return nil, false
	}
	values, err := url.ParseQuery(text)
	if err != nil {
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

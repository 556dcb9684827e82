package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxCall bounds the body of a call: a client may bring the text of the
	// mail.
	maxCall = 64 << 10

	maxFields = 64

	// bodyTime bounds how long a body may take: servers have no read time-out
	// of their own unless told, and half-open requests would pile up.
	bodyTime = 15 * time.Second
)

// Media returns what the client calls its body, such as application/json, and
// the charset in lower case, "" if it names none. It is not ok if there is not
// exactly one Content-Type that is well-formed and has no other parameter.
func (c *Call) Media() (media, charset string, ok bool) { return mediaType(c.x.r.Header) }

// Body reads the body, of at most 64 KiB and without a content coding. It is
// called once.
func (c *Call) Body() ([]byte, Fault) { return readBody(c.x.w, c.x.r, maxCall) }

// ParseForm reads a form (WHATWG URL, section 5.1) of at most 64 fields. A
// field that comes twice has two values, and is best refused, since parsers do
// not agree on which of the two counts (CVE-2023-7028). Values need not be
// UTF-8.
func ParseForm(body []byte) (url.Values, bool) {
	text := string(body)
	if strings.Count(text, "&") >= maxFields {
		return nil, false
	}
	form, err := url.ParseQuery(text)
	return form, err == nil
}

// readBody reads a body of at most limit bytes. It looks at what is announced
// before it reads anything.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, Fault) {
	// Nothing is decompressed: 16 KiB could become gigabytes.
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, FaultMedia
	}
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

// unguard is called when the whole body was read. Where one came in chunks the
// connection still ends: net/http has dropped a Content-Length that stood beside
// them, by which a proxy before us may have seen the end elsewhere (RFC 9112
// section 6.1).
func unguard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if r.ContentLength > 0 {
		w.Header().Del("Connection")
	}
}

// mediaType reads the Content-Type. Where there are two, or a parameter that
// nobody here knows, a proxy or the app might read another one.
func mediaType(h http.Header) (media, charset string, ok bool) {
	values := h.Values("Content-Type")
	// With a star a parameter has another name and another value (RFC 2231),
	// which wins here and is unknown elsewhere.
	if len(values) != 1 || strings.Contains(values[0], "*") {
		return "", "", false
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if err != nil {
		return "", "", false
	}
	for name, value := range parameters {
		if name != "charset" || value == "" {
			return "", "", false
		}
		charset = string(fold([]byte(value)))
	}
	return media, charset, true
}

// isJSON tells whether the body is called JSON, so that the answer is JSON. That
// holds for one that is refused as well.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

const (
	wellKnownChange = "/.well-known/change-password"

	// Browsers ask for this path to learn whether a site answers 404 at all
	// (W3C, A Well-Known URL for Changing Passwords, section 5).
	wellKnownProbe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"

	// maxToken is more than any token is long.
	maxToken = 256
)

// A Route says what a request asks of us. The zero value is nothing we know
// and answers 404.
type Route struct {
	kind  kind
	token string   // as it stands in the URL, "" if it cannot be one
	heard *hearing // the request is in a dialect
	told  *Answer  // who wants to know of the answer; nil: nobody
}

// Name says which route it is, for the log: the same for every login and token.
func (r Route) Name() string {
	if r.heard != nil {
		return "dialect"
	}
	return names[r.kind]
}

// LogAttrs returns what the log is to know of the request, as for a
// [log/slog.Logger]. It is called after [Handler.ServeHTTP], which adds to it.
func (r Route) LogAttrs() []any {
	if r.heard == nil {
		if r.told == nil || r.told.Reference == "" {
			return nil
		}
		return []any{slog.String("reference", r.told.Reference)}
	}
	return append([]any{slog.String("dialect", r.heard.name)}, r.heard.notes...)
}

type kind uint8

const (
	kindUnknown kind = iota // under our path, but nothing
	kindRefused             // a path with more than one reading, one of them ours
	kindAsk
	kindSent
	kindCode
	kindLink
	kindNew
	kindDone
	kindPending
	kindCancel
	kindPolicy
	kindTakeOver
	kindChangePassword
	kindProbe
)

var names = [...]string{
	kindUnknown:        "unknown",
	kindRefused:        "ambiguous",
	kindAsk:            "ask",
	kindSent:           "sent",
	kindCode:           "code",
	kindLink:           "link",
	kindNew:            "new",
	kindDone:           "done",
	kindPending:        "pending",
	kindCancel:         "cancel",
	kindPolicy:         "policy",
	kindTakeOver:       "taken_over",
	kindChangePassword: "change_password",
	kindProbe:          "probe",
}

// Route tells whether a request is for us, by its path alone. The path is
// compared as a lenient server might read it: decoded once, without regard to
// ASCII case, path parameters, and needless dots and slashes. A path that can
// be read in several ways, one of them ours, is ours too, and will be refused.
// A request that is not ours is not touched, and nothing is allocated for it.
func (h *Handler) Route(r *http.Request) (Route, bool) {
	if isCrooked(r.URL) {
		return Route{kind: kindRefused}, true
	}
	if h.passes(r.URL) {
		return Route{}, false
	}
	return h.read(r)
}

// passes tells most of what is not ours by one look at it: a path that all
// readers take for the same, and of which nothing of ours has the beginning. (The
// well-known paths begin with a dot, and so are not plain.)
// It only saves time: read says the same of it.
func (h *Handler) passes(u *url.URL) bool {
	if u.RawPath != "" || !isPlain(u.Path) || begins(u.Path, h.routes) {
		return false
	}
	for i := range h.takeOver {
		if h.takeOver[i].begins(u.Path) {
			return false
		}
	}
	for _, s := range h.speakers {
		for n := range s.endpoints {
			for i := range s.endpoints[n].covers {
				if s.endpoints[n].covers[i].begins(u.Path) {
					return false
				}
			}
		}
	}
	return true
}

// read is Route for any path.
func (h *Handler) read(r *http.Request) (Route, bool) {
	var space [256]byte
	path, twisted, odd := clean(space[:0], r.URL.Path)
	odd = odd || hasEncodedSlash(r.URL.RawPath)
	raw, escaped := r.URL.RawPath, true
	if raw == "" {
		raw, escaped = r.URL.Path, false
	}
	if !h.own(path) {
		if heard := h.hear(raw, escaped); heard != nil {
			return Route{heard: heard}, true
		}
	}
	switch by, ours := h.owner(path); {
	case by != nil:
		return Route{heard: &hearing{speaker: by, fault: FaultUnknown}}, true
	case ours && odd:
		return refused(nil), true
	case ours:
		return h.classify(r, path), true
	}
	if twisted || odd {
		if by, yes := h.mayCover(raw); yes {
			return refused(by), true
		}
	}
	if h.wellKnown != "" {
		switch string(path) {
		case wellKnownChange:
			return Route{kind: kindChangePassword}, true
		case wellKnownProbe:
			return Route{kind: kindProbe}, true
		}
	}
	return Route{}, false
}

// isCrooked tells a request target without a leading slash, as in "GET
// x:%2fforgot HTTP/1.1". It is none that RFC 9112 section 3.2 knows, matches no
// path here or in Caddy, and is passed on as something that servers behind us
// put a slash before.
func isCrooked(u *url.URL) bool {
	return u.Opaque != "" || u.Path != "" && u.Path[0] != '/' && u.Path != "*"
}

// refused is the route of a path with more than one reading, one of them ours
// or of the dialect s.
func refused(s *speaker) Route {
	if s != nil {
		return Route{heard: &hearing{speaker: s, fault: FaultRequest}}
	}
	return Route{kind: kindRefused}
}

// owner tells whether a clean path is under our own, of a dialect, which is
// returned too, or taken over. Where it is more than one of these, the first
// has it.
func (h *Handler) owner(path []byte) (by *speaker, ours bool) {
	if h.own(path) {
		return nil, true
	}
	if by = h.coveredBy(path); by != nil {
		return by, true
	}
	for i := range h.takeOver {
		if h.takeOver[i].match(path) {
			return nil, true
		}
	}
	return nil, false
}

// own tells whether a clean path is ours: the prefix, and then nothing or a
// slash.
func (h *Handler) own(path []byte) bool {
	return bytes.HasPrefix(path, h.routes) &&
		(len(path) == len(h.routes) || path[len(h.routes)] == '/')
}

func (h *Handler) classify(r *http.Request, path []byte) Route {
	if !h.own(path) {
		return Route{kind: kindTakeOver}
	}
	first, rest, more := bytes.Cut(bytes.TrimPrefix(path[len(h.routes):], []byte{'/'}), []byte{'/'})
	switch string(first) {
	case "link":
		return Route{kind: kindLink, token: tokenOf(r, rest)}
	case "cancel":
		return Route{kind: kindCancel, token: tokenOf(r, rest)}
	}
	if !more {
		switch string(first) {
		case "":
			return Route{kind: kindAsk}
		case "sent":
			return Route{kind: kindSent}
		case "code":
			return Route{kind: kindCode}
		case "new":
			return Route{kind: kindNew}
		case "done":
			return Route{kind: kindDone}
		case "pending":
			return Route{kind: kindPending}
		case "policy":
			return Route{kind: kindPolicy}
		}
	}
	return Route{kind: kindUnknown}
}

// tokenOf takes the token from the raw path: folding or decoding would give
// one token several spellings. What cannot be a token is "".
func tokenOf(r *http.Request, rest []byte) string {
	if len(rest) == 0 || len(rest) > maxToken || bytes.IndexByte(rest, '/') >= 0 {
		return ""
	}
	raw := strings.TrimRight(r.URL.EscapedPath(), "/")
	token := raw[strings.LastIndexByte(raw, '/')+1:]
	for _, c := range []byte(token) {
		if !isUnreserved(c) {
			return ""
		}
	}
	return token
}

package web

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A Dialect is the HTTP contract of another back end, mapped on the same
// service so that clients which were written for it keep working. It is a
// pointer to a struct whose exported fields are its options, each under the
// name in its json tag, and it serves one site only.
//
// A dialect fixes statuses, headers and bodies. What this package promises to
// everybody holds for it too, since it reaches the domain through a [Call]
// only.
type Dialect interface {
	// Check judges the options by themselves, without a look at any file. Its
	// errors begin with the name of an option.
	Check() error

	// Open reads the files that options name and returns the endpoints. Host is
	// that of the site's own address, with the port if one is written there. It
	// is called once, after Check. Its errors begin with the name of an option.
	Open(host string) ([]Endpoint, error)

	// Fail answers in the vendor's form where no endpoint does.
	Fail(*Call, Fault)
}

// A Linker is a [Dialect] with a page of its own for the new password.
type Linker interface {
	// LinkPath returns the absolute path of that page.
	LinkPath(token string) string
}

// A Worder is a [Dialect] with mails of its own.
type Worder interface {
	// Wording is asked for once, after Open.
	Wording() reset.Wording
}

// A Noter is a [Dialect] that has something to tell the operator about its
// options that is no error.
type Noter interface {
	// Notes is asked for once, after Open. A note begins with what it is about
	// and quotes no value.
	Notes() []string
}

// A speaker is a dialect that the site speaks.
type speaker struct {
	name string
	Dialect
	endpoints []endpoint
}

// A hearing is a request in a dialect. What the log is to know of it is added
// while it is answered.
type hearing struct {
	*speaker
	endpoint *endpoint // nil: none, and fault says why
	params   []string  // what stands in the endpoint's variable segments
	fault    Fault
	notes    []any
}

// parseDialects opens the dialects, in the order of their names.
func (h *Handler) parseDialects(dialects map[string]Dialect) error {
	for _, name := range slices.Sorted(maps.Keys(dialects)) {
		s, err := h.parseDialect(name, dialects[name])
		if err != nil {
			return fmt.Errorf("dialect %s: %w", name, err)
		}
		h.speakers = append(h.speakers, s)
	}
	return nil
}

func (h *Handler) parseDialect(name string, d Dialect) (*speaker, error) {
	s := &speaker{name: name, Dialect: d}
	if err := d.Check(); err != nil {
		return nil, err
	}
	endpoints, err := d.Open(h.host)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		if err := h.conflict(&parsed); err != nil {
			return nil, err
		}
		s.endpoints = append(s.endpoints, parsed)
	}
	if len(s.endpoints) == 0 {
		return nil, errors.New("it has no endpoint")
	}
	return s, nil
}

// conflict refuses an endpoint that something else would hide, or that would
// hide a page people need.
func (h *Handler) conflict(e *endpoint) error {
	overlaps := h.own(fold([]byte(e.Path)))
	for _, p := range e.covers {
		overlaps = overlaps || p.match(h.routes)
	}
	if overlaps {
		return fmt.Errorf("path: %s and our own pages at %s overlap; choose another `path` for one of the two", e.Path, h.prefix)
	}
	for _, s := range h.speakers {
		for n := range s.endpoints {
			if meets(s.endpoints[n].segments, e.segments) {
				return fmt.Errorf("path: %s and %s of the dialect %s overlap; choose another `path` for one of the two", e.Path, s.endpoints[n].Path, s.name)
			}
		}
	}
	for _, p := range e.covers {
		if h.lands(h.loginURL, p) {
			return fmt.Errorf("path: %s covers login_url, so that nobody could sign in", e.Path)
		}
		if h.lands(h.wellKnown, p) {
			return fmt.Errorf("path: %s covers the target of change_password", e.Path)
		}
	}
	return nil
}

// hear finds the endpoint of a path as it stands in the request. Nothing is
// allocated for a path that has none.
func (h *Handler) hear(path string, escaped bool) *hearing {
	for _, s := range h.speakers {
		for n := range s.endpoints {
			if e := &s.endpoints[n]; e.match(path, escaped, nil) {
				heard := &hearing{speaker: s, endpoint: e}
				e.match(path, escaped, &heard.params)
				return heard
			}
		}
	}
	return nil
}

// coveredBy returns the dialect that a clean path belongs to, or nil.
func (h *Handler) coveredBy(path []byte) *speaker {
	for _, s := range h.speakers {
		for n := range s.endpoints {
			for _, p := range s.endpoints[n].covers {
				if p.match(path) {
					return s
				}
			}
		}
	}
	return nil
}

// linkOf returns the address of a dialect's own page for the new password, or
// "" if it has none or is spoken no more.
func (h *Handler) linkOf(dialect, token string) string {
	for _, s := range h.speakers {
		if l, ok := s.Dialect.(Linker); ok && s.name == dialect {
			return h.origin + l.LinkPath(token)
		}
	}
	return ""
}

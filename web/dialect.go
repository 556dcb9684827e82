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

	// Open reads the files that options name and returns the endpoints. It is
	// called once, after Check. Its errors begin with the name of an option.
	Open() ([]Endpoint, error)

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
	endpoints, err := d.Open()
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		for _, p := range parsed.covers {
			if p.match(h.routes) {
				return nil, fmt.Errorf("path: %s covers our own pages at %s; choose another `path` for one of the two", e.Path, h.prefix)
			}
		}
		s.endpoints = append(s.endpoints, parsed)
	}
	if len(s.endpoints) == 0 {
		return nil, errors.New("it has no endpoint")
	}
	return s, nil
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

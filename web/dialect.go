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
// name in its json tag, with how it is written in a tag `usage`, and with a tag
// `secret:"true"` if its value is one. An option is a string, a list of them, a
// bool, which is a word that stands alone, or a [time.Duration]. It serves one
// site only.
//
// A dialect fixes statuses, headers and bodies. What this package promises to
// everybody holds for it too, since it reaches the domain through a [Call]
// only.
type Dialect interface {
	// Check judges the options by themselves, without a look at any file. Its
	// errors begin with the name of an option.
	Check() error

	// Open reads the files that options name and returns what the dialect
	// speaks. It is called once, after Check. Its errors begin with the name
	// of an option.
	Open() (Contract, error)

	// Fail answers in the vendor's form where no endpoint does.
	Fail(*Call, Fault)
}

// A Contract is what a dialect speaks.
type Contract struct {
	Endpoints []Endpoint

	// LinkPath returns the absolute path of the vendor's page for the new
	// password. Nil: our own page.
	LinkPath func(token string) string

	// Wording is that of the mail. The zero value means our own letter; its
	// Code has to stand in the words of a caller.
	Wording reset.Wording

	// Notes are for the operator, once at each load, and quote no value of a
	// setting.
	Notes []Note
}

// A Note is something that an operator should know of a configuration.
type Note struct {
	Text    string
	Warning bool // it is less safe than it could be
}

// A speaker is a dialect that the site speaks.
type speaker struct {
	name string
	Dialect
	contract  Contract
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
	if err := d.Check(); err != nil {
		return nil, err
	}
	contract, err := d.Open()
	if err != nil {
		return nil, err
	}
	s := &speaker{name: name, Dialect: d, contract: contract}
	for _, e := range contract.Endpoints {
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
		if s.name == dialect && s.contract.LinkPath != nil {
			return h.origin + s.contract.LinkPath(token)
		}
	}
	return ""
}

// Contracts returns what the dialects of the site speak, by their names.
func (h *Handler) Contracts() map[string]Contract {
	all := make(map[string]Contract, len(h.speakers))
	for _, s := range h.speakers {
		all[s.name] = s.contract
	}
	return all
}

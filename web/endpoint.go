package web

import (
	"errors"
	"fmt"
	"strings"
)

// An Endpoint is a path of a [Dialect] and what answers there.
type Endpoint struct {
	// Path is absolute on the host. A segment {name} stands for any one
	// segment, and {name...} at the end for any number of them, none included.
	// The others are compared without regard to ASCII case. The first endpoint
	// that matches answers.
	Path string

	// Methods answer, HEAD and OPTIONS like any other. What is not there is
	// given to Fail as [FaultMethod], or as [FaultUnknown] where there is none
	// at all.
	Methods map[string]func(*Call)

	// Origins are the origins whose pages may call it, "*" for all. Nil: only
	// pages of this site.
	Origins []string
}

// An endpoint is an Endpoint in the form that requests are compared with.
type endpoint struct {
	Endpoint
	segments []segment
	covers   []pattern // the clean paths that a lenient reader takes for it
}

// A segment is a literal, or has a name and stands for anything.
type segment struct {
	literal []byte // folded
	name    string
	rest    bool // for all that follow
}

func parseEndpoint(e Endpoint) (endpoint, error) {
	parsed := endpoint{Endpoint: e}
	path, absolute := strings.CutPrefix(e.Path, "/")
	if !absolute {
		return parsed, fmt.Errorf("path %q: it has to begin with a slash", e.Path)
	}
	var stars strings.Builder
	for text := range strings.SplitSeq(path, "/") {
		s, err := parseSegment(text)
		if err != nil {
			return parsed, err
		}
		stars.WriteByte('/')
		if s.name == "" {
			stars.Write(s.literal)
		} else {
			stars.WriteByte('*')
		}
		parsed.segments = append(parsed.segments, s)
	}
	covers, err := parsePattern(stars.String())
	if err != nil {
		return parsed, fmt.Errorf("path %q: %w", e.Path, err)
	}
	parsed.covers = covers
	return parsed, nil
}

func parseSegment(text string) (segment, error) {
	inner, variable := strings.CutPrefix(text, "{")
	if !variable {
		if _, err := parsePath("/" + text); err != nil {
			return segment{}, err
		}
		return segment{literal: fold([]byte(text))}, nil
	}
	inner, closed := strings.CutSuffix(inner, "}")
	name, rest := strings.CutSuffix(inner, "...")
	if !closed || name == "" {
		return segment{}, errors.New("path: a variable segment is written {name} or {name...}")
	}
	return segment{name: name, rest: rest}, nil
}

// match compares a path as it stands in the request and, if params is not nil,
// appends what its variable segments hold. Each segment is decoded once and by
// itself, so that %2F is part of a name. Empty segments and dot segments match
// nothing: servers do not agree on what they mean.
func (e *endpoint) match(path string, escaped bool, params *[]string) bool {
	for _, want := range e.segments {
		if want.rest {
			return true
		}
		if path == "" || path[0] != '/' {
			return false
		}
		text := path[1:]
		if end := strings.IndexByte(text, '/'); end >= 0 {
			text = text[:end]
		}
		path = path[1+len(text):]
		if escaped {
			text = unescape(text)
		}
		switch {
		case text == "" || text == "." || text == "..":
			return false
		case want.name == "":
			if !isFolded(text, want.literal) {
				return false
			}
		case params != nil:
			*params = append(*params, text)
		}
	}
	return path == ""
}

// isFolded tells whether s is the folded text in any case.
func isFolded(s string, folded []byte) bool {
	if len(s) != len(folded) {
		return false
	}
	for i := range folded {
		if lower(s[i]) != folded[i] {
			return false
		}
	}
	return true
}

// unescape decodes one segment once. net/http has seen that its escapes are
// whole.
func unescape(raw string) string {
	if strings.IndexByte(raw, '%') < 0 {
		return raw
	}
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' && i+2 < len(raw) {
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}

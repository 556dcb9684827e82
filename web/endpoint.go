package web

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// An Endpoint is a path of a [Dialect] and what answers there.
type Endpoint struct {
	// Path is absolute on the host. A segment {name} stands for any one
	// segment, and {name...} at the end for whatever may follow, or nothing.
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
	ended := false
	for text := range strings.SplitSeq(path, "/") {
		s, err := parseSegment(text)
		if err == nil && ended {
			err = errors.New("nothing can follow {name...}")
		}
		if err != nil {
			return parsed, fmt.Errorf("path %q: %w", e.Path, err)
		}
		stars.WriteByte('/')
		if s.name == "" {
			stars.Write(s.literal)
		} else {
			stars.WriteByte('*')
		}
		parsed.segments = append(parsed.segments, s)
		ended = s.rest
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
		return segment{literal: fold([]byte(text))}, checkSegment(text)
	}
	inner, closed := strings.CutSuffix(inner, "}")
	name, rest := strings.CutSuffix(inner, "...")
	if !closed || name == "" {
		return segment{}, errors.New("a variable segment is written {name} or {name...}")
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
		switch {
		case want.name == "":
			if !isFolded(text, escaped, want.literal) {
				return false
			}
		case isDots(text, escaped):
			return false
		case params != nil:
			*params = append(*params, unescape(text, escaped))
		}
	}
	return path == ""
}

// meets tells whether some path is of both.
func meets(a, b []segment) bool {
	for n := 0; ; n++ {
		switch {
		case n < len(a) && a[n].rest, n < len(b) && b[n].rest:
			return true
		case n == len(a) || n == len(b):
			return len(a) == len(b)
		case a[n].name == "" && b[n].name == "" && !bytes.Equal(a[n].literal, b[n].literal):
			return false
		}
	}
}

// isFolded tells whether a segment is the folded text in any case.
func isFolded(text string, escaped bool, folded []byte) bool {
	n := 0
	for i := 0; i < len(text); n++ {
		var c byte
		if c, i = decodeAt(text, i, escaped); n == len(folded) || lower(c) != folded[n] {
			return false
		}
	}
	return n == len(folded)
}

// isDots tells an empty segment or a dot segment.
func isDots(text string, escaped bool) bool {
	n := 0
	for i := 0; i < len(text); n++ {
		var c byte
		if c, i = decodeAt(text, i, escaped); n == 2 || c != '.' {
			return false
		}
	}
	return true
}

// unescape decodes a segment once.
func unescape(text string, escaped bool) string {
	if !escaped || strings.IndexByte(text, '%') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		var c byte
		c, i = decodeAt(text, i, escaped)
		b = append(b, c)
	}
	return string(b)
}

// decodeAt returns the character at i and where the next one is. net/http has
// seen that escapes are whole.
func decodeAt(text string, i int, escaped bool) (c byte, next int) {
	if escaped && text[i] == '%' && i+2 < len(text) {
		return unhex(text[i+1])<<4 | unhex(text[i+2]), i + 3
	}
	return text[i], i + 1
}

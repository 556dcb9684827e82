package web

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A pattern is a Caddy path pattern in the form that clean paths are compared
// with. It matches at least what Caddy's path matcher does.
type pattern struct {
	text  []byte // folded, without the stars at the ends
	front bool   // began with *
	back  bool   // ended with *
	star  bool   // has a * within
}

// parsePattern returns one pattern, or two for one that ends in "/*": clean
// paths have no slash at the end, and /forgot/ has to be covered too.
func parsePattern(s string) ([]pattern, error) {
	text, front := strings.CutPrefix(s, "*")
	text, back := strings.CutSuffix(text, "*")
	star := strings.Contains(text, "*")
	switch {
	case !front && !strings.HasPrefix(text, "/"):
		return nil, errors.New("it has to begin with / or *")
	case strings.Trim(text, "/*") == "":
		return nil, errors.New("it would take over the whole site")
	case front && star:
		return nil, errors.New("a * at the start and another within cannot be combined")
	case strings.ContainsAny(text, `%;?#[]{}\`) || strings.Contains(text, "//"):
		return nil, errors.New(`it is a plain path: none of % ; ? # [ ] { } \ and no empty segment`)
	}
	for segment := range strings.SplitSeq(text, "/") {
		if segment == "." || segment == ".." {
			return nil, errors.New("dot segments are not possible")
		}
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c == 0x7f {
			return nil, errors.New("spaces and controls are not possible")
		}
	}
	whole, slash := strings.CutSuffix(text, "/")
	exact := pattern{text: fold([]byte(whole)), front: front, star: star}
	if !back {
		return []pattern{exact}, nil
	}
	open := pattern{text: fold([]byte(text)), front: front, back: true, star: star}
	if !slash {
		return []pattern{open}, nil
	}
	return []pattern{open, exact}, nil
}

// match takes a clean path.
func (p pattern) match(path []byte) bool {
	switch {
	case p.star:
		return glob(p.text, path, p.back)
	case p.front && p.back:
		return bytes.Contains(path, p.text)
	case p.front:
		return bytes.HasSuffix(path, p.text)
	case p.back:
		return bytes.HasPrefix(path, p.text)
	}
	return bytes.Equal(path, p.text)
}

// begins tells whether a plain path might match, by what stands before the first
// star.
func (p *pattern) begins(path string) bool {
	if p.front {
		return true
	}
	text := p.text
	if p.star {
		text = text[:bytes.IndexByte(text, '*')]
	}
	return begins(path, text)
}

// begins tells whether a path begins with the folded text in any case.
func begins(path string, folded []byte) bool {
	if len(path) < len(folded) {
		return false
	}
	for i, c := range folded {
		if lower(path[i]) != c {
			return false
		}
	}
	return true
}

// parsePatterns parses the take-over list and refuses what would lock people
// out of the site.
func (h *Handler) parsePatterns(list []string) ([]pattern, error) {
	var patterns []pattern
	for _, s := range list {
		parsed, err := parsePattern(s)
		if err != nil {
			return nil, fmt.Errorf("take_over %q: %w", s, err)
		}
		for _, p := range parsed {
			if h.lands(h.loginURL, p) {
				return nil, fmt.Errorf("take_over %q: it covers login_url, so that nobody could sign in", s)
			}
			if h.lands(h.wellKnown, p) {
				return nil, fmt.Errorf("take_over %q: it covers the target of change_password", s)
			}
		}
		patterns = append(patterns, parsed...)
	}
	return patterns, nil
}

// lands tells whether an address on this site would be taken over by p.
func (h *Handler) lands(target string, p pattern) bool {
	path := strings.TrimPrefix(target, h.origin)
	if !strings.HasPrefix(path, "/") {
		return false
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	reading, _, _ := clean(nil, path)
	return !h.own(reading) && p.match(reading)
}

// glob matches a pattern in which * stands for anything but a slash; open
// accepts more behind it. Going back to the last star only is enough, as no
// star crosses a slash: the time is bounded by the product of the lengths.
func glob(pattern, path []byte, open bool) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for {
		switch {
		case p == len(pattern) && (open || i == len(path)):
			return true
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && i < len(path) && pattern[p] == path[i]:
			p++
			i++
		case star >= 0 && mark < len(path) && path[mark] != '/':
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
}

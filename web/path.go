package web

import (
	"bytes"
	"unicode/utf8"
)

// maxSegments bounds the work on a path that has more than one reading.
const maxSegments = 32

// clean appends the one plain reading of a path to dst: path is already decoded
// once, and clean drops path parameters (RFC 3986 section 3.3), empty and dot
// segments, resolves "..", and folds ASCII case. The root is "".
//
// Twisted says that the path had a dot segment, a parameter, or an empty segment
// with more behind it, so that other readings have to be looked at too.
// Odd says that no reading is the right one: a backslash, a control, an escape
// that survived decoding, what begins a query or a fragment, a letter that only
// Unicode folds to ASCII, a dot or space at the end of a segment, or ".." above
// the root.
func clean(dst []byte, path string) (out []byte, twisted, odd bool) {
	empty := false
	for i := 0; i < len(path); {
		if path[i] == '/' {
			empty = empty || i > 0 && path[i-1] == '/'
			i++
			continue
		}
		twisted = twisted || empty
		start := len(dst)
		dst = append(dst, '/')
		parameter := false
		for ; i < len(path) && path[i] != '/'; i++ {
			c := path[i]
			switch {
			case c == ';':
				parameter, twisted = true, true
			case c == '\\' || c < ' ' || c == 0x7f || c == '?' || c == '#':
				odd = true
			case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
				odd = true
			}
			if parameter {
				continue
			}
			if ascii, size := alike(path[i:]); size > 0 {
				dst, odd = append(dst, ascii), true
				i += size - 1
				continue
			}
			dst = append(dst, lower(c))
		}
		switch string(dst[start+1:]) {
		case "", ".":
			dst, twisted = dst[:start], true
		case "..":
			twisted = true
			odd = odd || start == 0
			dst = dst[:lastSlash(dst[:start])]
		default:
			// Some file systems, and what is built on them, drop these.
			end := bytes.TrimRight(dst, ". ")
			switch {
			case len(end) > start+1 && len(end) < len(dst):
				dst, odd = end, true
			case dst[len(dst)-1] == ' ':
				odd = true // of nothing else: an empty segment, or one of dots
			}
		}
	}
	return dst, twisted, odd
}

// inSegment holds the characters that RFC 3986 section 3.3 lets stand in a segment
// and that mean nothing there to anybody: no escape, parameter or dot.
var inSegment = func() (set [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@") {
		set[c] = true
	}
	return set
}()

// isPlain tells a path that all servers read alike: clean drops at most the slash
// at its end, and finds it neither twisted nor odd.
func isPlain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := 1; i < len(path); i++ {
		c := path[i]
		if inSegment[c] {
			continue
		}
		// No empty segment, and no dot at either end of one.
		if before := path[i-1]; c != '/' && c != '.' || before == '/' || c == '/' && before == '.' {
			return false
		}
	}
	return path[len(path)-1] != '.'
}

// mayCover tells whether anything that a server behind us might make of a raw
// path is covered: with escapes decoded again, encoded and backward slashes as
// slashes, cut at a control, with ".." resolved, or ignored and its neighbours
// kept, with empty and dot segments kept or dropped. It says true of a path with
// too many segments to be sure.
//
// If a dialect covers it, that is returned too.
func (h *Handler) mayCover(raw string) (by *speaker, yes bool) {
	if by, yes = h.mayCoverWith(raw, 0); yes {
		return by, true
	}
	// Routers that split a path before they decode it take an encoded slash for
	// a part of a name. No pattern holds this character, so that only a star
	// can stand for it.
	return h.mayCoverWith(raw, ']')
}

// mayCoverWith is mayCover with one reading of encoded slashes.
func (h *Handler) mayCoverWith(raw string, slash byte) (by *speaker, yes bool) {
	var space [512]byte
	b := append(space[:0], raw...)
	for range 3 {
		b = decode(b, slash)
	}
	if len(b) == 0 || b[0] != '/' && b[0] != 0 {
		return nil, false // no path
	}
	var o outline
	b, ok := o.cut(b)
	if !ok {
		return nil, true
	}
	if by, yes = h.coversPart(b, &o); yes {
		return by, true
	}
	if by, yes = h.coversResolved(b, &o); yes {
		return by, true
	}
	b = o.drop(b, false)
	if by, yes = h.coversPart(b, &o); yes {
		return by, true
	}
	return h.coversPart(o.drop(b, true), &o)
}

// coversResolved tells whether a path, or what comes before something that a
// reader may stop at, is covered as a server reads it that takes all of these
// slashes for one and ".." for a step back.
func (h *Handler) coversResolved(path []byte, o *outline) (by *speaker, yes bool) {
	var space [512]byte
	read := space[:0]
	for i := range o.n {
		if i > 0 && o.barrier[i] {
			if by, yes = h.owner(read); yes {
				return by, true
			}
		}
		switch s := path[o.starts[i]:o.starts[i+1]]; string(s) {
		case "/", "/.":
		case "/..":
			read = read[:lastSlash(read)]
		default:
			read = append(read, s...)
		}
	}
	return h.owner(read)
}

// coversPart tells whether a reading of a path is covered, and by which dialect
// if it is one.
func (h *Handler) coversPart(path []byte, o *outline) (by *speaker, yes bool) {
	for from := range o.n {
		if from > 0 && !o.joints {
			break
		}
		for to := from + 1; to <= o.n; to++ {
			if !o.barrier[to] {
				continue
			}
			if by, yes = h.owner(path[o.starts[from]:o.starts[to]]); yes {
				return by, true
			}
		}
	}
	return nil, false
}

// An outline says where the segments of a path are, each behind a slash.
type outline struct {
	n       int                   // how many there are
	starts  [maxSegments + 1]int  // where they begin, and where the last one ends
	barrier [maxSegments + 1]bool // from this segment on something may have been cut
	joints  bool                  // something may have been dropped before a segment
}

// cut makes the outline of a decoded path, which it writes anew in its place.
// It returns false if there are too many segments.
func (o *outline) cut(b []byte) (path []byte, ok bool) {
	out := 0
	for i := 0; i < len(b); o.n++ {
		if o.n == maxSegments {
			return nil, false
		}
		o.starts[o.n] = out
		o.barrier[o.n] = b[i] == 0
		b[out] = '/'
		out++
		parameter := false
		for i++; i < len(b) && b[i] != '/' && b[i] != 0; i++ {
			if b[i] == ';' {
				parameter, o.joints = true, true
			}
			if parameter {
				continue
			}
			c := lower(b[i])
			if ascii, size := alike(b[i:]); size > 0 {
				c = ascii
				i += size - 1
			}
			b[out] = c
			out++
		}
		start := o.starts[o.n]
		out = start + len(bytes.TrimRight(b[start:out], " "))
		if end := len(bytes.TrimRight(b[start:out], ". ")); end > 1 {
			out = start + end
		}
		if string(b[start:out]) == "/.." {
			o.joints, o.barrier[o.n] = true, true
		}
	}
	o.starts[o.n], o.barrier[o.n] = out, true
	return b[:out], true
}

// drop leaves out empty segments, and dot segments too if told, in the place of
// the path as well.
func (o *outline) drop(path []byte, dots bool) []byte {
	all, out, barrier := o.n, 0, false
	o.n = 0
	for i := range all {
		s := path[o.starts[i]:o.starts[i+1]]
		barrier = barrier || o.barrier[i]
		switch string(s) {
		case "/":
			continue
		case "/.", "/..":
			if dots {
				continue
			}
		}
		o.starts[o.n], o.barrier[o.n] = out, barrier
		out += copy(path[out:], s)
		o.n++
		barrier = false
	}
	o.starts[o.n], o.barrier[o.n] = out, true
	return path[:out]
}

// hasEncodedSlash tells an escaped slash or backslash, which decoding hides.
func hasEncodedSlash(raw string) bool {
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] != '%' {
			continue
		}
		switch hi, lo := raw[i+1], lower(raw[i+2]); {
		case hi == '2' && lo == 'f', hi == '5' && lo == 'c':
			return true
		}
	}
	return false
}

// decode resolves escapes once, in place. An encoded slash becomes the given
// character. Backslashes and controls, and with them an encoded slash that is
// to be one, become NUL, which stands for "a reader may stop here".
func decode(b []byte, slash byte) []byte {
	out := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			c = unhex(b[i+1])<<4 | unhex(b[i+2])
			i += 2
			if c == '/' {
				c = slash
			}
		}
		if c == '\\' || c < ' ' || c == 0x7f || c == '?' || c == '#' {
			c = 0
		}
		b[out] = c
		out++
	}
	return b[:out]
}

// fold lowers ASCII letters in place, and only those: U+212A is not a k
// (CVE-2019-19844).
func fold(b []byte) []byte {
	for i, c := range b {
		b[i] = lower(c)
	}
	return b
}

// alike tells the four letters beyond ASCII that routes which are compared
// without regard to case take for one within: the long s and the Kelvin sign by
// Unicode's folding, the dotted capital and the dotless small i where letters
// are compared by their other case, as regular expressions of Python and
// String.equalsIgnoreCase of Java do.
func alike[T string | []byte](s T) (ascii byte, size int) {
	if len(s) < 2 || s[0] < utf8.RuneSelf {
		return 0, 0
	}
	switch {
	case s[0] == 0xc5 && s[1] == 0xbf: // U+017F
		return 's', 2
	case s[0] == 0xc4 && (s[1] == 0xb0 || s[1] == 0xb1): // U+0130, U+0131
		return 'i', 2
	case len(s) > 2 && s[0] == 0xe2 && s[1] == 0x84 && s[2] == 0xaa: // U+212A
		return 'k', 3
	}
	return 0, 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func lastSlash(b []byte) int {
	for i := len(b) - 1; i > 0; i-- {
		if b[i] == '/' {
			return i
		}
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}

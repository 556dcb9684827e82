package web

import (
	"bytes"
	"strings"
)

// maxSegments bounds the work on a path that has more than one reading.
const maxSegments = 32

// clean appends the one plain reading of a path to dst: path is already decoded
// once, and clean drops path parameters (RFC 3986 section 3.3), empty and dot
// segments, resolves "..", and folds ASCII case. The root is "".
//
// Twisted says that the path had a "..", a parameter or a character that
// servers read differently, so that other readings have to be looked at too.
// Odd says that no reading is the right one: a backslash, a control, an escape
// that survived decoding, what begins a query or a fragment, a letter that only
// Unicode folds to ASCII, a dot or space at the end of a segment, or ".." above
// the root.
func clean(dst []byte, path string) (out []byte, twisted, odd bool) {
	for i := 0; i < len(path); {
		if path[i] == '/' {
			i++
			continue
		}
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
			dst = dst[:start]
		case "..":
			twisted = true
			odd = odd || start == 0
			dst = dst[:lastSlash(dst[:start])]
		default:
			// Some file systems, and what is built on them, drop these.
			if end := bytes.TrimRight(dst, ". "); len(end) > start+1 && len(end) < len(dst) {
				dst, odd = end, true
			}
		}
	}
	return dst, twisted, odd
}

// mayCover tells whether anything that a server behind us might make of a raw
// path is covered: with escapes decoded again, encoded and backward slashes as
// slashes, cut at a control, with ".." ignored and its neighbours kept. It says
// true of a path with too many segments to be sure.
//
// If a dialect covers it, that is returned too.
func (h *Handler) mayCover(raw string) (by *speaker, yes bool) {
	var space [512]byte
	b := append(space[:0], raw...)
	for range 3 {
		b = decode(b)
	}

	// Segments are moved to the front of b. After a barrier something may have
	// been cut, after a joint something may have been dropped.
	var starts [maxSegments + 1]int
	var barrier [maxSegments + 1]bool
	n, out, joints := 0, 0, false
	for i := 0; i < len(b); {
		if b[i] == '/' || b[i] == 0 {
			barrier[n] = barrier[n] || b[i] == 0
			i++
			continue
		}
		if n == maxSegments {
			return nil, true
		}
		start := out
		// Reading is ahead of writing: each segment was led by a slash, or is
		// the very first of a path that has none, which is no path.
		if i == 0 {
			return nil, false
		}
		b[out] = '/'
		out++
		parameter := false
		for ; i < len(b) && b[i] != '/' && b[i] != 0; i++ {
			if b[i] == ';' {
				parameter, joints = true, true
			}
			if !parameter {
				b[out] = lower(b[i])
				out++
			}
		}
		switch string(b[start+1 : out]) {
		case "", ".":
			out = start
		case "..":
			joints, barrier[n] = true, true
			out = start
		default:
			starts[n] = start
			n++
		}
	}
	starts[n] = out
	barrier[n] = true

	for from := range n {
		if from > 0 && !joints {
			break
		}
		for to := from + 1; to <= n; to++ {
			if reading := b[starts[from]:starts[to]]; barrier[to] && h.covers(reading) {
				return h.coveredBy(reading), true
			}
		}
	}
	return nil, false
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

// decode resolves escapes once, in place. Slashes that were not plain ones, and
// controls, become NUL, which stands for "a reader may stop here".
func decode(b []byte) []byte {
	out := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			c = unhex(b[i+1])<<4 | unhex(b[i+2])
			i += 2
			if c == '/' {
				c = 0
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

// alike tells the two letters beyond ASCII that Unicode folds to one within, as
// routes that are compared without regard to case do: the long s and the Kelvin
// sign.
func alike(s string) (ascii byte, size int) {
	switch {
	case strings.HasPrefix(s, "\u017f"):
		return 's', len("\u017f")
	case strings.HasPrefix(s, "\u212a"):
		return 'k', len("\u212a")
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

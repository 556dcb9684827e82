package web

import (
	"bytes"
	"unicode/utf8"
)

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

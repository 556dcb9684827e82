package web

import "bytes"

// maxSegments bounds the work on a path that has more than one reading.
const maxSegments = 32

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

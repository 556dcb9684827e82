package web

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// maxDepth is how deep a value may be nested that we ignore.
const maxDepth = 8

// decodeObject reads one JSON object (RFC 8259) such that no other parser could
// read it differently: encoding/json alone would match keys without regard to
// case, let the last of several win, fold U+212A to k, put U+FFFD for half a
// surrogate pair, and stop before trailing data. Members that are not strings
// are left out.
func decodeObject(body []byte) (fields, bool) {
	if !utf8.Valid(body) || !json.Valid(body) || hasLoneSurrogate(body) {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	f := make(fields)
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, false
		}
		// Two spellings of one key are refused too: somebody else's parser
		// may take the other.
		key := string(fold([]byte(name)))
		if seen[key] || len(seen) == maxFields {
			return nil, false
		}
		seen[key] = true
		value, ok := decodeValue(dec)
		if !ok {
			return nil, false
		}
		if text, ok := value.(string); ok {
			f[name] = text
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	_, err := dec.Token()
	return f, err == io.EOF
}

// decodeValue returns a string, or something else for what is not one.
func decodeValue(dec *json.Decoder) (json.Token, bool) {
	var first json.Token
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return nil, false
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if first == nil {
			first = t
		}
		if depth > maxDepth {
			return nil, false
		}
		if depth == 0 {
			return first, true
		}
	}
}

// hasLoneSurrogate finds an escaped half of a surrogate pair (RFC 8259 section
// 8.2) in valid JSON.
func hasLoneSurrogate(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		if body[i] != 'u' {
			continue
		}
		u := hex4(body[i+1:])
		i += 4
		switch {
		case 0xdc00 <= u && u < 0xe000:
			return true
		case 0xd800 <= u && u < 0xdc00:
			rest := body[i+1:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if v := hex4(rest[2:]); v < 0xdc00 || v >= 0xe000 {
				return true
			}
			i += 6
		}
	}
	return false
}

func hex4(b []byte) (u uint16) {
	for _, c := range b[:4] {
		u = u<<4 | uint16(unhex(c))
	}
	return u
}

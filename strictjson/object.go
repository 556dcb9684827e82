// Package strictjson reads JSON from outside such that no other parser of the
// same bytes could read something else. encoding/json alone would match names
// without regard to case, let the last of several win, fold U+212A to k, put
// U+FFFD for half a surrogate pair, and stop before trailing data.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep a value may be nested.
const maxDepth = 32

// An Object is one JSON object (RFC 8259): its values as they stood there, by
// their exact names. No two names are the same without regard to ASCII case.
type Object map[string]json.RawMessage

// Parse reads one object and nothing else, nested at most 32 deep. The caller
// bounds its size. Its errors quote nothing of data.
func Parse(data []byte) (Object, error) {
	switch {
	case !utf8.Valid(data):
		return nil, errors.New("not UTF-8")
	case !json.Valid(data):
		return nil, errors.New("not JSON, or more than one value")
	case depth(data) > maxDepth:
		return nil, errors.New("nested too deeply")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	o := make(Object)
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if strings.ContainsRune(name, utf8.RuneError) {
			return nil, errors.New("the name of a member is damaged")
		}
		// Two spellings of one name are refused too: somebody else's parser
		// may take the other.
		folded := fold(name)
		if seen[folded] {
			return nil, errors.New("a member of a JSON object stands there twice")
		}
		seen[folded] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		o[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("a JSON object breaks off")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return o, nil
}

// Text returns the member of that name if it is a string, and one that is text:
// half a surrogate pair is none.
func (o Object) Text(name string) (string, bool) {
	raw, ok := o[name]
	if !ok || len(raw) == 0 || raw[0] != '"' || hasLoneSurrogate(raw) {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// depth returns how deep valid JSON is nested, the outermost value included.
func depth(data []byte) int {
	deepest, now, text := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// hasLoneSurrogate finds an escaped half of a surrogate pair (RFC 8259 section
// 8.2) in valid JSON.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		u := hex4(data[i+1:])
		i += 4
		switch {
		case 0xdc00 <= u && u < 0xe000:
			return true
		case 0xd800 <= u && u < 0xdc00:
			rest := data[i+1:]
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

func hex4(digits []byte) (u uint16) {
	for _, c := range digits[:4] {
		u <<= 4
		switch {
		case c <= '9':
			u |= uint16(c - '0')
		case c <= 'F':
			u |= uint16(c-'A') + 10
		default:
			u |= uint16(c-'a') + 10
		}
	}
	return u
}

// fold lowers ASCII letters, and only those.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

package webhookout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PlainText makes foreign text fit to be shown or logged: one line of valid
// UTF-8 without control characters and without those that turn the direction
// of the text around it, cut to a number of characters. The caller still
// escapes it for the place that it goes to.
func PlainText(s string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = n > 0
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
			continue
		}
		need := 1
		if space {
			need = 2
		}
		if n+need > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		n += need
		b.WriteRune(r)
	}
	return b.String()
}

// Object reads one JSON object into its fields, under their exact names.
// encoding/json by itself would fold the case of names, take the last of two
// and ignore what follows: another parser of the same bytes would read
// something else.
func Object(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, repeated := fields[name]; repeated {
			return nil, errors.New("a field of a JSON object stands there twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("not a JSON object")
		}
		fields[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("a JSON object breaks off")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return fields, nil
}

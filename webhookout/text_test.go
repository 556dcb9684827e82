package webhookout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestPlainText(t *testing.T) {
	tests := []struct {
		name, in, want string
		limit          int
	}{
		{"plain", "Too short.", "Too short.", 20},
		{"lines and tabs", " \n Too\r\n\tshort. \n", "Too short.", 20},
		{"controls", "a\x00b\x1b[31mc\x7f\u0085d", "ab[31mc d", 20},
		{"direction", "a\u202eb\u2066c\u200fd", "abcd", 20},
		{"line separator", "a\u2028b", "a b", 20},
		{"not UTF-8", "a\xffb", "ab", 20},
		{"joiner of a script stays", "می\u200cخواهم", "می\u200cخواهم", 20},
		{"cut in characters", "äöüß", "äö", 2},
		{"no space at the cut", "ab cd", "ab", 3},
		{"space and a character fit", "ab cd", "ab c", 4},
		{"nothing", "\n\n", "", 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := webhookout.PlainText(tt.in, tt.limit); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestObject(t *testing.T) {
	tests := []struct {
		name, in string
		want     map[string]json.RawMessage // nil: refused
	}{
		{"empty", `{}`, map[string]json.RawMessage{}},
		{"fields", ` {"a":1,"b":{"a":[]}} `, map[string]json.RawMessage{"a": json.RawMessage(`1`), "b": json.RawMessage(`{"a":[]}`)}},
		{"case matters", `{"a":1,"A":2}`, map[string]json.RawMessage{"a": json.RawMessage(`1`), "A": json.RawMessage(`2`)}},
		{"twice", `{"a":1,"a":1}`, nil},
		{"twice, once escaped", `{"a":1,"\u0061":2}`, nil},
		{"array", `[]`, nil},
		{"null", `null`, nil},
		{"string", `"{}"`, nil},
		{"nothing", ``, nil},
		{"two objects", `{}{}`, nil},
		{"something follows", `{} x`, nil},
		{"bracket follows", `{}]`, nil},
		{"breaks off", `{"a":1`, nil},
		{"breaks off in a value", `{"a":[1`, nil},
		{"comma at the end", `{"a":1,}`, nil},
		{"no colon", `{"a" 1}`, nil},
		{"not UTF-8", "{\"a\":\"\xff\"}", nil},
		{"byte order mark", "\ufeff{}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := webhookout.Object([]byte(tt.in))
			if (err != nil) != (tt.want == nil) {
				t.Fatalf("got %v, error %v", got, err)
			}
			if tt.want != nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"detail":"x","a":[1,{"b":null}]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"a" 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := webhookout.Object(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is no JSON: %q", data)
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil || len(m) != len(fields) {
			t.Fatalf("%d fields, %d in encoding/json", len(fields), len(m))
		}
	})
}

func FuzzPlainText(f *testing.F) {
	f.Add("a\u202e b\n\xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit &= 0xfff
		got := webhookout.PlainText(s, limit)
		if utf8.RuneCountInString(got) > limit || !utf8.ValidString(got) || strings.TrimSpace(got) != got ||
			strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("%q with %d gives %q", s, limit, got)
		}
	})
}

package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeForm(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       fields // nil: refused
	}{
		{"empty", "", fields{}},
		{"two", "login=a%40b&code=1+2", fields{"login": "a@b", "code": "1 2"}},
		{"empty value", "login=", fields{"login": ""}},
		{"array notation is another name", "login[]=a&x=", fields{"login[]": "a", "x": ""}},
		{"name in another case", "LOGIN=a", fields{"LOGIN": "a"}},
		{"exact bytes", "password=%20p%C3%A9e%CC%81%25%2B%26%5C%22%F0%9F%98%80%EF%BB%BF%09", fields{"password": " pée\u0301%+&\\\"😀\ufeff\t"}},
		{"password that is no text", "password=%ff", fields{"password": "\xff"}},
		{"field twice", "login=a&login=b", nil},
		{"same value twice", "login=a&login=a", nil},
		{"unknown field twice", "login=a&x=1&x=2", nil},
		{"semicolon", "login=a;code=1", nil},
		{"bad escape", "login=%zz", nil},
		{"cut escape", "login=%4", nil},
		{"invalid UTF-8", "login=%ff", nil},
		{"many fields", "login=a" + strings.Repeat("&x=1", maxFields), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := decodeForm([]byte(tt.body))
			if ok != (tt.want != nil) {
				t.Fatalf("accepted: %v", ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecoderFor(t *testing.T) {
	for media, want := range map[string]bool{
		"application/json":                                 true,
		"Application/JSON; Charset=UTF-8":                  true,
		`application/json;charset="utf-8"`:                 true,
		"application/x-www-form-urlencoded":                true,
		"application/x-www-form-urlencoded; charset=utf-8": true,
		"":                                       false,
		"text/plain":                             false,
		"text/json":                              false,
		"application/json; charset=utf-16":       false,
		"application/json; boundary=x":           false,
		"application/merge-patch+json":           false,
		"multipart/form-data; boundary=x":        false,
		"application/json, text/plain":           false,
		"application/jso\u212a":                  false,
		"application/x-www-form-urlencoded; x=y": false,
	} {
		h := http.Header{}
		if media != "" {
			h.Set("Content-Type", media)
		}
		if got := decoderFor(h) != nil; got != want {
			t.Errorf("%q is accepted: %v", media, got)
		}
	}
	if decoderFor(http.Header{"Content-Type": {"application/json", "application/json"}}) != nil {
		t.Error("two content types are accepted")
	}
}

func FuzzDecodeForm(f *testing.F) {
	f.Add("login=a&code=1")
	f.Add("login=a&login=b")
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := decodeForm([]byte(body))
		if ok && len(got) > strings.Count(body, "&")+1 {
			t.Errorf("%q has fields %q", body, got)
		}
	})
}

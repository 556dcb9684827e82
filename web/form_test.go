package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

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
		"application/json; charset=utf-16; charset*=utf-8''utf-8": false,
		"application/json; charset*0=utf-; charset*1=8":           false,
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

// FuzzDecodeForm compares with a reader that takes a form apart by hand: what
// is accepted has each field once, with the bytes that were sent.
func FuzzDecodeForm(f *testing.F) {
	for _, s := range []string{
		"login=a&code=1", "login=a&login=b", "login=a&LOGIN=b", "login%3D=a", "login=a&&code=", "a;b=c", "login[]=a", "=a&=b",
		"password=%ff", "login=%ff", "login=+%2B%00", "login", "%6cogin=a", "&", "login=a=b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := decodeForm([]byte(body))
		want := make(fields)
		for pair := range strings.SplitSeq(body, "&") {
			if pair == "" {
				continue
			}
			rawName, rawValue, _ := strings.Cut(pair, "=")
			name, errName := url.QueryUnescape(rawName)
			value, errValue := url.QueryUnescape(rawValue)
			_, twice := want[name]
			bad := strings.Contains(pair, ";") || errName != nil || errValue != nil || twice ||
				!isPassword(name) && !utf8.ValidString(value)
			if bad || strings.Count(body, "&") >= maxFields {
				if ok {
					t.Errorf("%q is accepted as %q", body, got)
				}
				return
			}
			want[name] = value
		}
		if !ok {
			t.Fatalf("%q is refused", body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", body, diff)
		}
	})
}

// oneMedia is what a Content-Type has to look like, in one piece.
var oneMedia = regexp.MustCompile(`(?i)^\s*(application/json|application/x-www-form-urlencoded)\s*(;\s*charset=("utf-8"|utf-8)\s*)?(;\s*)?$`)

// FuzzDecoderFor holds that a body is read as nothing but what it is called by
// its one and only name, so that no proxy and no app can read it as another
// kind.
func FuzzDecoderFor(f *testing.F) {
	for _, s := range []string{
		"application/json", "Application/JSON; Charset=UTF-8", `application/json;charset="utf-8"`, "application/json; charset=utf-8; charset=utf-16",
		"application/x-www-form-urlencoded;", "application/json, text/plain", "application/jso\u212a", "application/json; charset*=utf-8''utf-8",
		`application/json; charset="utf\-8"`, "application/json; charset*0=utf-; charset*1=8", "text/plain", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, media string) {
		one := decoderFor(http.Header{"Content-Type": {media}})
		if one != nil && !oneMedia.MatchString(media) {
			t.Errorf("%q is accepted", media)
		}
		if one == nil && strings.EqualFold(media, "application/json") && media != "application/j\u017fon" {
			t.Errorf("%q is refused", media)
		}
		if decoderFor(http.Header{"Content-Type": {media, media}}) != nil {
			t.Errorf("%q twice is accepted", media)
		}
	})
}

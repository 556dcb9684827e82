package dialect

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect/stringtemplate"
)

// FuzzBuddyForm compares with a reader that takes a form apart by hand: what is
// accepted has each name once, in whatever case, and only text.
func FuzzBuddyForm(f *testing.F) {
	for _, s := range []string{"userName=a&subject=s&body=b", "userName=a&USERNAME=b", "username=%ff", "a=1;b=2", "", "=", "userName=%E9", "a=b&&c=", "to%E2%84%AAen=x&token=y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := parseBuddyForm(body, decodeUnknown)
		if !ok {
			return
		}
		pairs := 0
		for pair := range strings.SplitSeq(body, "&") {
			if pair == "" {
				continue
			}
			pairs++
			rawName, rawValue, _ := strings.Cut(pair, "=")
			name, errName := url.QueryUnescape(rawName)
			value, errValue := url.QueryUnescape(rawValue)
			field, found := got[reset.Fold(name)]
			if errName != nil || errValue != nil || !found || field.other || !utf8.ValidString(field.text) {
				t.Fatalf("%q: %q is read as %+v", body, pair, field)
			}
			if utf8.ValidString(value) && field.text != value || len([]rune(field.text)) > len(value) {
				t.Errorf("%q: %q is read as %q", body, value, field.text)
			}
		}
		if pairs != len(got) {
			t.Errorf("%q has %d fields", body, len(got))
		}
	})
}

// FuzzAuthorization holds that what a client shows as its credential is read in
// one way: exact words, each after one space, in one header.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Buddy T", "Buddy T S", "buddy T", "Buddy  T", "Bearer T", "Buddy", "Buddy T S X", " Buddy T", "Buddy\tT", "B\u00fcddy T", "browser id key-1", "Bearer key-1", "bearer  key-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := http.Header{"Authorization": {value}}
		token, signature := buddyAuthorization(h)
		if token != "" || signature != "" {
			rest := value[min(len("Buddy "), len(value)):]
			if !strings.EqualFold(value[:min(len("Buddy "), len(value))], "Buddy ") || rest != token && rest != token+" "+signature || strings.Contains(token+signature, " ") {
				t.Errorf("%q is read as %q, %q", value, token, signature)
			}
		}
		if token, signature := buddyAuthorization(http.Header{"Authorization": {value, value}}); token != "" || signature != "" {
			t.Errorf("%q twice is read as %q, %q", value, token, signature)
		}
		key := &Catalyze{APIKeys: []string{"key-1"}}
		if key.isKey(value) && (!strings.HasSuffix(value, " key-1") || strings.Count(value, " ") != 2) {
			t.Errorf("%q is a key", value)
		}
		bearer := &Payabli{RequestTokens: []string{"key-1"}}
		if bearer.isKnown(h) && !strings.EqualFold(value, "Bearer key-1") || bearer.isKnown(h) && !strings.HasSuffix(value, " key-1") {
			t.Errorf("%q is known", value)
		}
	})
}

// FuzzBaasBoxMail holds that a template of a mail that is taken has the link,
// and that in its place and no other stands what a letter puts there.
func FuzzBaasBoxMail(f *testing.F) {
	for _, s := range []string{
		"Hi $user_name$\n$link$", `\$link\$ $link$`, "$if(link)$x$endif$", "<a href='$link$'>$token$</a>", "$link$$link$", "<!-- $link$ -->", `<a href="$link$" title=$user_name$>`, "$$", "$link",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, isHTML bool) {
		mail, err := parseBaasboxMail(text, isHTML)
		if err != nil {
			if mail != "" {
				t.Errorf("%q is half taken", text)
			}
			return
		}
		const marker = "https://app.example.com/user/password/reset/T"
		filled := strings.ReplaceAll(mail, "$link$", marker)
		parsed, err := stringtemplate.Parse(text, "link", "token", "user_name")
		if err != nil {
			t.Fatal(err)
		}
		want := parsed.Render(func(v stringtemplate.Variable) (string, bool) {
			if v.Name == "link" {
				return marker, true
			}
			return "$" + v.Name + "$", true
		})
		if filled != want || !strings.Contains(filled, marker) {
			t.Errorf("%q becomes %q in place of %q", text, filled, want)
		}
	})
}

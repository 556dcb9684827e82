package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// odd are passwords that something on the way might change: a decoder, a
// normal form, a trimmer, a template, a shell.
var odd = []string{
	"  leading and trailing  ", "a+b %41 %2B & = ; ? # / \\ end", `"quotes" 'and' <b>tags</b> &amp; $x`, "caf\u00e9 in one point of NFC", "cafe\u0301 in two points of NFD", "\ufeffbyte order mark\ufeff here",
	"\U0001f510\U0001f469\u200d\U0001f4bb and a zero width joiner", "\u212a\u017f\u0130\u0131 fold to nothing else", "{env.ATTACK_SECRET} {{.}} ${x}", "%s%n%x percent %%", "\u00a0\u3000spaces of all kinds\u2003",
	"\u202eright to left \u05d0\u05d1\u05d2", "ﬁ ligatures ﬀ and ½ and ²", "`backticks` $(id) | > /dev/null", "--option=value -- ../../etc", "null true 0x1f 1e9 NaN []{}", "comma, tab-less, colon: dot. end",
}

// The app gets the bytes that a person has typed, by whichever way they come;
// what it cannot get as they are is refused, and the link lives on.
func TestTrialAttackPassword(t *testing.T) {
	t.Parallel()
	s := besiege(t, "passwords that are changed on their way", people(200))
	chance := s.tr.Rand(0)
	wanted := append([]string(nil), odd...)
	for range s.tr.Size(3, 180-len(odd)) {
		wanted = append(wanted, anyPassword(chance))
	}
	accounts := people(200)
	tokens := make([]string, len(wanted))
	codes := make([]string, len(wanted))
	s.each(len(wanted), func(i int) {
		s.typed.Store(accounts[i].Login, true)
		s.hit(s.raw("POST", surface, `{"login":"`+accounts[i].Login+`"}`, s.visitor()...))
	})
	for i := range wanted {
		m := s.mail(accounts[i].Email, 1)
		tokens[i] = s.token(m)
		var err error
		if codes[i], err = m.Code(); err != nil {
			t.Fatal(err)
		}
	}

	// Refused, one after the other and all with one link: by us, or by the app.
	live := tokens[0]
	form := func(password, repeat string) string {
		return s.raw("POST", surface+"/new", "token="+live+"&password="+password+"&password_repeat="+repeat, s.visitor()...)
	}
	twice := func(password string) string { return form(password, password) }
	inJSON := func(password string) string {
		return s.raw("POST", surface+"/new", `{"token":"`+live+`","password":`+password+`}`, s.visitor()...)
	}
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"too short", twice("fourteen+chars"), 422},
		{"fifteen code points of one letter", twice(strings.Repeat("%C3%A9", 15)), 422},
		{"a megabyte", twice(strings.Repeat("a", 1<<20)), 413},
		{"fifteen kilobytes", inJSON(`"` + strings.Repeat("a b", 5000) + `"`), 422},
		{"129 characters", inJSON(`"` + long(129) + `"`), 422},
		{"513 bytes", inJSON(`"` + strings.Repeat("\U0001f510a", 103) + `"`), 422},
		{"NUL", twice("calm+sea+%00+at+night"), 422},
		{"a line end", twice("calm+sea%0a+at+night+"), 422},
		{"delete", twice("calm+sea%7f+at+night+"), 422},
		{"a control of Latin-1", twice("calm+sea%c2%85+at+night+"), 422},
		{"no UTF-8", twice("calm+sea+%ff+at+night"), 422},
		{"half a surrogate pair", twice("calm+sea+%ed%a0%80+at+night"), 422},
		{"half a surrogate pair, in JSON", inJSON(`"calm sea \ud800 at night"`), 400},
		{"escaped NUL", inJSON(`"calm sea \u0000 at night"`), 422},
		{"common", twice("passwordpassword"), 422},
		{"digits", twice("123456789012345"), 422},
		{"the login", twice("person-0-person-0"), 422},
		{"the address", twice("person-0%40example.com"), 422},
		{"the site", twice("example-example-1"), 422},
		{"in two normal forms", form("caf%C3%A9+in+two+forms", "cafe%CC%81+in+two+forms"), 422},
		{"not repeated", form("calm+sea+at+night", ""), 422},
		{"in another case", form("calm+sea+at+night", "Calm+sea+at+night"), 422},
		{"empty", twice(""), 422},
		{"a list", inJSON(`["calm sea at night"]`), 400},
		{"a number", inJSON(`123456789012345`), 400},
		{"null", inJSON(`null`), 400},
		{"what the app refuses", twice("calm+legacy+sea+at+night"), 422},
		{"BaasBox's form", s.raw("POST", "/user/password/reset/"+live+".json", "password=short&repeat-password=short", s.visitor()...), 400},
		{"Buddy's call", s.spell(buddyFinish(accounts[0].Login, codes[0], "short")), 400},
	} {
		r, ok := s.hit(tt.request)
		if !ok || r.Status != tt.want {
			s.tr.Violation("%s is answered %d: %s", tt.name, r.Status, r.Body)
		}
		for _, part := range []string{"calm+sea", "calm sea", "passwordpassword"} {
			if bytes.Contains(r.Raw, []byte(part)) {
				s.tr.Violation("%s: the password comes back: %s", tt.name, r.Raw)
			}
		}
	}
	if got := s.backend.passwords(accounts[0].ID); len(got) != 1 || !strings.Contains(got[0], "legacy") {
		s.tr.Violation("of the refused passwords the app got %q", got)
	}

	s.each(len(wanted), func(i int) {
		password := wanted[i]
		account := accounts[i]
		var request string
		switch i % 4 {
		case 0:
			request = s.raw("POST", surface+"/new", url.Values{"token": {tokens[i]}, "password": {password}, "password_repeat": {password}}.Encode(), s.visitor()...)
		case 1:
			request = s.raw("POST", surface+"/new", `{"token":"`+tokens[i]+`","password":`+quoted(password)+`}`, s.visitor()...)
		case 2:
			request = s.spell(buddyFinish(account.Login, codes[i], password))
		case 3: // each byte escaped
			var all strings.Builder
			for _, c := range []byte(password) {
				fmt.Fprintf(&all, "%%%02X", c)
			}
			request = s.raw("POST", "/user/password/reset/"+tokens[i]+".json", "password="+all.String()+"&repeat-password="+all.String(), s.visitor()...)
		}
		r, ok := s.hit(request)
		if !ok || r.Status != http.StatusOK && r.Status != http.StatusSeeOther {
			s.tr.Violation("%+q is answered %d: %s", password, r.Status, r.Body)
			return
		}
		got := s.backend.passwords(account.ID)
		if i == 0 {
			got = got[1:]
		}
		if len(got) != 1 || got[0] != password {
			s.tr.Violation("%+q reached the app as %+q", password, got)
		}
	})
	s.secrets = append(s.secrets, wanted...)
	s.lift()
}

// anyPassword is text that may be a password of somebody. The demo app takes 72
// bytes.
func anyPassword(chance *rand.Rand) string {
	var b strings.Builder
	b.WriteString("lush ")
	for b.Len() <= 72-utf8.UTFMax && utf8.RuneCountInString(b.String()) < 20+chance.IntN(40) {
		r := rune(chance.IntN([]int{0x7f, 0x800, 0x3000, 0x1f700}[chance.IntN(4)]))
		if r < ' ' || r >= 0x7f && r < 0xa0 || !utf8.ValidRune(r) {
			r = 'x'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// long is a good password of n characters.
func long(n int) string {
	return strings.Repeat("a calm sea at night, and no wind at all; ", 10)[:n]
}

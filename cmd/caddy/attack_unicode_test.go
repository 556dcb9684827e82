package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// invisible is what a reader does not show, or shows as nothing but a turn of
// the direction (CVE-2021-42574).
var invisible = []string{
	"\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2060", "\u2061", "\u2066", "\u2069",
	"\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\U000e0001", "\U000e0061", "\U000e0100", "\u0301", "\u0338", "\u20dd", "\u00a0", "\u2003", "\u3000", "\ufffc", "\ufffd",
}

// No login but the one that the directory knows finds its account, for a mail
// or a code: nothing is folded but ASCII case, and nothing that looks alike, or
// becomes alike in some normal form, is the same (CVE-2019-19844).
func TestTrialAttackUnicode(t *testing.T) {
	t.Parallel()
	const login, address = "mike.kiss", "mike.kiss@example.com"
	s := besiege(t, "logins that look or fold alike", nil, func(s *siege) {
		path := s.write("accounts.csv", []byte("id,login,email\n1,"+login+","+address+"\n9999,keeper,keeper@example.com\n"))
		s.amend("directory webhook http://{$RESET_APP:127.0.0.1:3000}/hooks/lookup", "directory file "+path)
		s.backend.know(address)
	})
	var twins []string
	for _, name := range []string{login, address} {
		for i, c := range name {
			for _, other := range alikes[c] {
				twins = append(twins, name[:i]+string(other)+name[i+1:])
			}
		}
		for _, mark := range invisible {
			for _, i := range []int{0, 1, len(login), len(name)} {
				twins = append(twins, name[:i]+mark+name[i:])
			}
		}
		twins = append(twins, strings.ReplaceAll(name, ".", "\u3002"), strings.ReplaceAll(name, ".", "\uff0e"), strings.ReplaceAll(name, ".", ""), strings.ReplaceAll(name, "@", "\uff20"),
			name+"+x", name+".", "."+name, "\u202e"+reversed(name), strings.ToUpper(name)+"\u0307", name+"@example.com")
	}
	twins = slices.DeleteFunc(twins, func(twin string) bool { return twin == login || twin == address })
	chance := s.tr.Rand(0)
	chance.Shuffle(len(twins), func(i, j int) { twins[i], twins[j] = twins[j], twins[i] })
	twins = twins[:min(len(twins), s.tr.Size(250, len(twins)))]

	s.do("POST", surface, `{"login":"MIKE.Kiss@Example.COM"}`)
	m := s.mail(address, 1)
	code, err := m.Code()
	if err != nil {
		t.Fatal(err)
	}
	all := ways()
	s.each(len(twins), func(i int) {
		w := all[i%len(all)]
		s.hit(s.spell(w.ask(twins[i])))
		// Codes are found by the login as it was typed for the mail.
		if r, ok := s.hit(s.raw("POST", surface+"/code", `{"login":`+quoted(twins[i])+`,"code":"`+code+`"}`, s.visitor()...)); ok && r.Status != http.StatusUnprocessableEntity {
			s.tr.Violation("the code of %s is taken for %+q: %d", login, twins[i], r.Status)
		}
	})
	// Of digits there are ASCII ones only.
	for _, other := range []string{wide(code), code + "\u200b", "\u0661" + code[1:], code[:4] + "\u2013" + code[4:], "+" + code, code + ".0", "0x" + code, code[:7], code + "0", "1e7", code + "\x00"} {
		if r, ok := s.hit(s.raw("POST", surface+"/code", `{"login":"`+login+`","code":`+quoted(other)+`}`, s.visitor()...)); ok && r.Status != http.StatusUnprocessableEntity {
			s.tr.Violation("%+q is taken for %s: %d", other, code, r.Status)
		}
	}
	s.settle()
	if n := s.received(address); n != 1 {
		s.tr.Violation("of %d logins that are others, %d have led to a mail", len(twins), n-1)
	}
	if r := s.do("POST", surface+"/code", `{"login":" Mike.Kiss\t","code":" `+code[:4]+"-"+code[4:]+` "}`, s.visitor()...); r.Status != http.StatusOK {
		t.Errorf("the code itself is answered %d", r.Status)
	}
	s.inPaths = true
	s.lift()
}

// alikes are, for each letter of ASCII, those beyond it that some case mapping
// or normal form makes the same, and some that only look so.
var alikes = func() map[rune][]rune {
	all := map[rune][]rune{'a': {'а'}, 'c': {'с'}, 'e': {'е', 'ё'}, 'i': {'і', 'ı', 'İ', 'ɩ'}, 'k': {'κ', 'к'}, 'm': {'м'}, 'p': {'р'}, 's': {'ѕ'}, 'x': {'х'}, 'o': {'о', 'ο'}, '.': {'․', '。', '．'}, '@': {'＠', '﹫'}}
	for r := rune(0x80); r < 0x20000; r++ {
		bases := []rune{unicode.ToLower(r), unicode.ToUpper(r), unicode.ToTitle(r), unicode.SimpleFold(r)}
		for _, form := range []norm.Form{norm.NFKC, norm.NFKD} {
			for _, base := range form.String(string(r)) {
				bases = append(bases, base)
			}
		}
		for _, base := range bases {
			if lower := unicode.ToLower(base); lower < 0x80 && lower > ' ' && !slices.Contains(all[lower], r) {
				all[lower] = append(all[lower], r)
			}
		}
	}
	return all
}()

func reversed(text string) string {
	b := []byte(text)
	slices.Reverse(b)
	return string(b)
}

// wide are digits at full width.
func wide(digits string) string {
	var b strings.Builder
	for _, c := range digits {
		fmt.Fprintf(&b, "%c", c-'0'+'\uff10')
	}
	return b.String()
}

package main

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	// Placed in an environment and a file that the program can read, and in
	// nothing that it may say.
	expanded = "expanded-3b1f0c5d"
	looted   = "looted-77e2a9d4"
)

// A way is one by which a mail can be asked for.
type way struct {
	name  string
	ask   func(login string) phrase
	taken int // the status of an answer that says yes
}

// ways are all of them.
func ways() []way {
	all := []way{
		{"form", func(login string) phrase {
			return phrase{"POST", surface, nil, "login=" + url.QueryEscape(login)}
		}, http.StatusSeeOther},
		{"json", func(login string) phrase {
			return phrase{"POST", surface, nil, `{"login":` + quoted(login) + `}`}
		}, http.StatusAccepted},
	}
	for _, v := range vendors {
		all = append(all, way{v.name, v.openStart, http.StatusOK})
	}
	return all
}

// strays are logins that hold a person's, {}, and are none of theirs: a list, a
// header, an SMTP command, or a name around it.
var strays = []string{
	"{},evil@evil.test", "{};evil@evil.test", "{} evil@evil.test", "evil@evil.test,{}", "{}|evil@evil.test", "{}&login=evil@evil.test",
	"{}\r\nBcc: evil@evil.test", "{}\nBcc:evil@evil.test", "{}\rRCPT TO:<evil@evil.test>", "{}%0d%0aBcc:evil@evil.test", "{}\u2028Bcc:evil@evil.test", "{}\u0085Bcc:evil@evil.test",
	"{}>\r\nRCPT TO:<evil@evil.test", "<{}>", "Person <{}>", `"Person" <{}>`, "{} (evil@evil.test)", "(evil@evil.test) {}", "group:{},evil@evil.test;",
	`"evil@evil.test> NOTIFY=NEVER "@example.com`, `"{}"`, `"{}"@evil.test`, "{}@evil.test", "evil@evil.test%{}", "evil%evil.test@example.com", "@evil.test:{}", "evil.test!{}",
	"{}\x00", "\x00{}", "{}\x00@evil.test", "{}\x1b[2J", "{}\x7f", "{}\b", "\ufeff{}", "{}\ufeff", "{}\xff", "\xc0\xae{}", "{}\xed\xa0\x80",
	"{}*", "*", "%", "_", "' OR 1=1 --", "*)(uid=*", "{$ne:null}", "../{}", "{}/..", "a@[127.0.0.1]", "a@localhost", "a@x", "root", "{}.", ".{}", "{}+x", "+{}", "-oQ/tmp/{}",
	"", " ", "\t", "{}" + strings.Repeat("a", 300), strings.Repeat("(", 3000), strings.Repeat(`"a" `, 1000), "a@[" + strings.Repeat("1", 3000), strings.Repeat("a", 65) + "@example.com",
}

// folders are forms that say who is meant more than once, or in a way that some
// reader takes for it (CVE-2023-7028): F is the field, {} somebody's login.
var folders = []string{
	"F[]={}&F[]=evil@evil.test", "F[]={}", "F={}&F=evil@evil.test", "F=evil@evil.test&F={}", "F={}&F={}", "F={}&F", "F&F={}", "F={};F=evil@evil.test", "F={}&%46%4c=x&F=evil@evil.test",
	"F[0]={}", "F.0={}", "F%00={}", "+F={}", "F+={}", "%20F={}", "F={}%", "F={}&x=%zz", "F=%ff{}", "\ufeffF={}", "?F={}", "F:{}", "F", "", "=", "&", "&&F&", "{\"F\":\"{}\"}",
	strings.Repeat("x=y&", 70) + "F={}", "--x\r\nContent-Disposition: form-data; name=F\r\n\r\n{}\r\n--x--",
}

// Mail goes to the address that the directory returned, and to nobody else,
// whatever login is typed; and the answer is the same whether what is in it
// has an account.
func TestTrialAttackRecipient(t *testing.T) {
	t.Parallel()
	s := besiege(t, "who gets the mail", people(2))
	type try struct {
		way   way
		stray string
	}
	var tries []try
	for _, w := range ways() {
		for _, stray := range strays {
			tries = append(tries, try{w, stray})
		}
	}
	chance := s.tr.Rand(0)
	for range s.tr.Size(100, 6000) {
		all := ways()
		tries = append(tries, try{all[chance.IntN(len(all))], spoil(chance, strays[chance.IntN(len(strays))])})
	}
	s.each(len(tries), func(i int) {
		try := tries[i]
		for _, suffix := range []string{"", "@example.com"} {
			s.pair(func(login string) string {
				return s.spell(s.ask(try.way, strings.ReplaceAll(try.stray, "{}", login+suffix)))
			})
		}
	})
	for _, target := range []string{surface, "/users/password"} {
		field, rest := "login", ""
		if target != surface {
			field, rest = "userName", "&subject=s&body=@ResetCode"
		}
		for _, body := range folders {
			r, ok := s.pair(func(login string) string {
				body := strings.NewReplacer("F", field, "{}", login).Replace(body) + rest
				return s.raw("POST", target, body, append(s.visitor(), "Content-Type", "application/x-www-form-urlencoded")...)
			})
			// The Android SDK sends ISO 8859-1, in which all bytes are text.
			if latin := target != surface && strings.HasPrefix(body, "F=%ff"); ok && r.Status < 400 && !latin {
				s.tr.Violation("%s is accepted: %d", body, r.Status)
			}
		}
	}
	for _, login := range []string{known, unknown} {
		s.typed.Store("\u00ff"+login, true)
	}
	s.lift()
}

// ask asks for a login by one of the ways, and remembers it.
func (s *siege) ask(w way, login string) phrase {
	for _, typed := range []string{login, string([]rune(login)), login + "@example.com"} {
		s.typed.Store(strings.Trim(typed, " \t"), true)
	}
	return w.ask(login)
}

// checkLookups holds that the app was asked for logins as they were typed, and
// never for a part of one, or for one that was read into a request.
func (s *siege) checkLookups() {
	s.t.Helper()
	for _, login := range s.backend.lookups() {
		if _, typed := s.typed.Load(login); !typed && login != "keeper" {
			s.tr.Violation("the app was asked for %q, which nobody typed", login)
		}
	}
}

// separators are what some reader ends a login with, or does not see.
var separators = []string{
	",", ";", " ", "\t", "\r", "\n", "\r\n", "\x00", "<", ">", "(", ")", "\"", "'", "\\", ":", "|", "&", "=", "%", "%00", "%0a", "%2C", "#", "?", "/", "{", "}", "[", "]", "$", "`",
	"\u00a0", "\u200b", "\u2028", "\u2029", "\u202e", "\ufeff", "\u3000", "\u0085", "\xff", "\xc3\x28", "=?utf-8?q?x?=", "@", "..",
}

// spoil puts separators into a text.
func spoil(chance *rand.Rand, text string) string {
	for range 1 + chance.IntN(3) {
		at := chance.IntN(len(text) + 1)
		text = text[:at] + separators[chance.IntN(len(separators))] + text[at:]
	}
	return text
}

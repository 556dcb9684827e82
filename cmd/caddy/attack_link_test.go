package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// poison are headers by which a request tries to say where the site is, who
// asks, or what is asked for. "HOST" is that of the site.
var poison = [][]string{
	{"Host", "evil.test"},
	{"Host", "evil.test:80"},
	{"Host", "HOST.evil.test"},
	{"Host", ""},
	{"Host", "EVIL.test."},
	{"Host", "HOST", "X-Forwarded-Host", "evil.test"},
	{"X-Forwarded-Host", "evil.test", "X-Forwarded-Host", "HOST"},
	{"X-Forwarded-Proto", "javascript", "X-Forwarded-Port", "1", "X-Forwarded-Prefix", "//evil.test", "X-Forwarded-Server", "evil.test", "X-Forwarded-Scheme", "https"},
	{"Forwarded", "host=evil.test;proto=http;for=\"[::1]\""},
	{"X-Original-Host", "evil.test", "X-Host", "evil.test", "X-Backend-Host", "evil.test", "X-HTTP-Host-Override", "evil.test", "X-Real-IP", "evil.test"},
	{"X-Original-URL", "//evil.test/", "X-Rewrite-URL", "//evil.test/", "X-Accel-Redirect", "//evil.test/", "Destination", "http://evil.test/"},
	{"X-HTTP-Method-Override", "PUT", "X-HTTP-Method", "DELETE", "X-Method-Override", "GET"},
	{"Referer", "https://evil.test/<MARK>", "From", "evil@evil.test", "Reply-To", "evil@evil.test", "Return-Path", "<evil@evil.test>", "Sender", "evil@evil.test", "Bcc", "evil@evil.test"},
	{"Accept-Language", "de, ../../etc;q=0.9, {env.ATTACK_SECRET}", "User-Agent", "<MARK>", "Cookie", "password-reset=<MARK>; password-reset=MARK"},
	{"Range", "bytes=0-10", "If-None-Match", "*", "If-Modified-Since", "Sun, 22 Nov 2099 00:00:00 GMT", "If-Range", "x", "If-Match", "\"x\""},
	{"Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13"},
	{"Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"},
	{"TE", "trailers, gzip", "Trailer", "Host", "Via", "1.1 evil.test", "Max-Forwards", "0", "Proxy-Connection", "keep-alive"},
	{"Accept", "text/html;q=0, */*", "Accept-Encoding", "gzip, br, identity;q=0", "Accept-Charset", "utf-16", "Prefer", "return=representation"},
	{"X-Forwarded-For", "evil.test", "X-Forwarded-For", "198.18.200.1", "Client-IP", "evil.test", "True-Client-IP", "127.0.0.1"},
	{"Origin", "https://evil.test"},
	{"Origin", "null"},
	{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://evil.test"},
}

// A mail is made of configuration and of what the directory says, and links to
// the site only: byte for byte the same whatever stood in the request.
func TestTrialAttackLink(t *testing.T) {
	t.Parallel()
	accounts := people(60)
	s := besiege(t, "where the link points", accounts)
	plain := make(map[string]bool) // what the mails of plain requests say
	for i, w := range ways() {
		if r, ok := s.hit(s.spell(s.ask(w, accounts[i].Login))); ok && r.Status != w.taken {
			t.Errorf("%s: asking is answered %d: %s", w.name, r.Status, r.Body)
		}
	}
	for i := range ways() {
		plain[skeleton(s.mail(accounts[i].Email, 1))] = true
	}
	if len(plain) != 2 {
		t.Errorf("mails are worded in %d ways: one of them should have a link to BaasBox's page", len(plain))
	}

	type try struct {
		way    way
		header []string
		query  string
		target string // before the path
	}
	var tries []try
	for _, w := range ways() {
		for _, header := range poison {
			tries = append(tries, try{way: w, header: header})
		}
		for _, query := range []string{
			"?next=https://evil.test", "?return_to=//evil.test", "?redirect=/%5cevil.test", "?url=javascript:alert(1)", "?login=evil@evil.test", "?email=evil@evil.test&host=evil.test", "?base_url=https://evil.test",
			"?lang=../../etc/passwd&locale=de&template=x&subject=MARK&body=MARK", "?X-Forwarded-Host=evil.test", "?%0d%0aLocation:%20https://evil.test", "?;login=evil@evil.test",
		} {
			tries = append(tries, try{way: w, query: query})
		}
		tries = append(tries, try{way: w, target: "http://evil.test"}, try{way: w, target: "https://127.0.0.1@evil.test:443"}, try{way: w, target: "//evil.test/.."})
	}
	chance := s.tr.Rand(0)
	for range s.tr.Size(20, 400) {
		all := ways()
		header := slices.Concat(poison[chance.IntN(len(poison))], poison[chance.IntN(len(poison))], poison[chance.IntN(len(poison))])
		tries = append(tries, try{way: all[chance.IntN(len(all))], header: header})
	}
	host := strings.TrimPrefix(s.Site, "http://")
	fill := strings.NewReplacer("HOST", host, "MARK", s.mark)
	s.each(len(tries), func(i int) {
		try := tries[i]
		p := s.ask(try.way, accounts[i%len(accounts)].Login)
		p.target = try.target + p.target + fill.Replace(try.query)
		var header []string
		for _, h := range try.header {
			header = append(header, fill.Replace(h))
		}
		r, ok := s.hit(s.spell(p, header...))
		if ok && strings.Contains(string(r.Raw), "evil.test") && !strings.HasPrefix(r.Body, `{"result":"error"`) {
			s.tr.Violation("%q: the answer holds the attacker's host: %s", header, r.Raw)
		}
		if ok && r.Status == http.StatusSwitchingProtocols {
			s.tr.Violation("%q: the connection is given away", header)
		}
		// The form is the same for everybody.
		if r, ok := s.hit(s.raw("GET", surface+fill.Replace(try.query), "", append(s.visitor(), "Referer", "https://evil.test/")...)); ok && !strings.Contains(r.Body, `action="`+surface+`"`) {
			s.tr.Violation("the form after %q: %s", header, r.Body)
		}
	})
	s.lift()
	for _, m := range s.Inbox.Mails() {
		if says := skeleton(m); !plain[says] {
			for want := range plain {
				s.tr.Violation("a mail is not as others are:\n%s", cmp.Diff(want, says))
			}
		}
	}
}

// What is new in every mail.
var news = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`(?m)^(Date|Message-ID): [^\n]*`), "$1"},
	{regexp.MustCompile(`boundary=[0-9a-f]+`), "boundary"},
	{regexp.MustCompile(`/[A-Za-z0-9_-]{64}`), "/TOKEN"},
	{regexp.MustCompile(`\b\d{4}([ \x{a0}])\d{4}\b`), "0000${1}0000"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC`), "WHEN"},
	{regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`), "REFE-RENCE"},
	{regexp.MustCompile(`\bperson-\d+\b|\bkeeper\b`), "PERSON"},
	{regexp.MustCompile(`\bPerson( <PERSON)`), "$1"},
}

// skeleton is what all mails of one wording say alike.
func skeleton(m demo.Mail) string {
	header, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
	text := m.From + "\n" + m.To + "\n" + strings.ReplaceAll(header, "\r\n", "\n") + "\n\n" + m.Text + "\n\n" + m.HTML
	for _, n := range news {
		text = n.pattern.ReplaceAllString(text, n.word)
	}
	return text
}

// A token has one spelling. All others, like those of dead grants, get one
// answer by each way, and none of them, nor a GET, does anything to the grant.
func TestTrialAttackToken(t *testing.T) {
	t.Parallel()
	s := besiege(t, "spellings of a token", people(1))
	s.typed.Store(known, true)
	s.do("POST", surface, `{"login":"`+known+`"}`)
	m := s.mail(known+"@example.com", 1)
	live := s.token(m)
	link, err := m.CancelLink(s.Site + surface)
	if err != nil {
		t.Fatal(err)
	}
	cancel := link[strings.LastIndexByte(link, '/')+1:]

	// doors are where a token is shown; "" is none of the kind.
	doors := []struct {
		name  string
		spell func(token string) string
		path  bool
	}{
		{"the link", func(token string) string { return s.raw("GET", surface+"/link/"+token, "", s.visitor()...) }, true},
		{"HEAD of the link", func(token string) string { return s.raw("HEAD", surface+"/link/"+token, "", s.visitor()...) }, true},
		{"the link for programs", func(token string) string {
			return s.raw("GET", surface+"/link/"+token, "", append(s.visitor(), "Accept", "application/json")...)
		}, true},
		{"cancelling", func(token string) string { return s.raw("GET", surface+"/cancel/"+token, "", s.visitor()...) }, true},
		{"to cancel", func(token string) string { return s.raw("POST", surface+"/cancel/"+token, "{}", s.visitor()...) }, true},
		{"BaasBox's link", func(token string) string {
			return s.raw("GET", "/user/password/reset/"+token+".json", "", s.visitor()...)
		}, true},
		{"BaasBox's page", func(token string) string { return s.raw("GET", "/user/password/reset/"+token, "", s.visitor()...) }, true},
		{"BaasBox's form", func(token string) string {
			return s.raw("POST", "/user/password/reset/"+token+".json", "password=short&repeat-password=short", s.visitor()...)
		}, true},
		{"the form", func(token string) string {
			return s.raw("POST", surface+"/new", "token="+url.QueryEscape(token)+"&password=short&password_repeat=short", s.visitor()...)
		}, false},
		{"JSON", func(token string) string {
			return s.raw("POST", surface+"/new", `{"token":`+quoted(token)+`,"password":"`+newPassword+`"}`, s.visitor()...)
		}, false},
	}
	chance := s.tr.Rand(0)
	tokens := []string{
		live + "=", live + "==", live[:63], live + "A", live[1:], " " + live, live + " ", live + "\n", live + "\x00", strings.ToUpper(live), strings.ToLower(live), swapCase(live), strings.Repeat("A", 64), strings.Repeat("A", 300),
		live + "\r\n", live + live, live + "." + live, "\ufeff" + live, live + "\u200b", base64.RawURLEncoding.EncodeToString([]byte(live)), "..", ".", "%", "null", "undefined", cancel + "x", live[:60] + "\u0430" + live[61:],
	}
	for range s.tr.Size(10, 500) {
		tokens = append(tokens, respell(chance, live), respell(chance, cancel))
	}
	dead := make([]string, len(doors))
	for i, door := range doors {
		if r, ok := s.hit(door.spell(strings.Repeat("Ab3_", 16))); ok {
			dead[i] = masked(r, "login")
		}
	}
	s.each(len(tokens)*len(doors), func(n int) {
		i, token := n%len(doors), tokens[n/len(doors)]
		if token == live || token == cancel || token == ".." || token == "." {
			return
		}
		texts := []string{token}
		if doors[i].path {
			// In a path, escaped as need be, and more than that.
			all := ""
			for _, c := range []byte(token) {
				all += fmt.Sprintf("%%%02x", c)
			}
			texts = []string{url.PathEscape(token), all}
		}
		for _, text := range texts {
			request := doors[i].spell(text)
			if r, ok := s.hit(request); ok && masked(r, "login") != dead[i] && !refusedAsSuch(r) {
				s.tr.Violation("%s, for %q:\n%s", doors[i].name, text, cmp.Diff(dead[i], masked(r, "login")))
			}
		}
	})
	// The right spelling in escapes, or where another kind of token belongs.
	for _, request := range []string{
		s.raw("GET", surface+"/link/%"+hexOf(live[0])+live[1:], ""), s.raw("GET", surface+"/link/"+cancel, ""), s.raw("GET", surface+"/cancel/"+live, ""), s.raw("POST", surface+"/cancel/"+live, "{}"),
		s.raw("POST", surface+"/new", `{"token":"`+cancel+`","password":"`+newPassword+`"}`), s.raw("GET", surface+"/link?token="+live, ""), s.raw("GET", surface+"/link/x?"+live, ""),
		s.raw("GET", "/user/password/reset/%"+hexOf(live[0])+live[1:]+".json", ""), s.raw("GET", surface+"/link/"+live+";x", "") + "",
	} {
		if r, ok := s.hit(request); ok && (strings.Contains(r.Body, live) && !strings.Contains(request, live+";x") || r.Status == http.StatusOK && !strings.Contains(request, live+";x")) {
			s.tr.Violation("%q opens it: %s", request, r.Body)
		}
	}
	if !s.changesWith(live) {
		s.tr.Violation("the link does not work any more")
	}
	s.lift()
}

// changesWith tells whether a token changes a password.
func (s *siege) changesWith(token string) bool {
	r := s.do("POST", surface+"/new", `{"token":"`+token+`","password":"`+newPassword+`"}`, s.visitor()...)
	return r.Status == http.StatusOK && strings.Contains(r.Body, "changed")
}

// refusedAsSuch tells a request that is refused for what it is, before a token
// is looked at: the path has more than one reading, or there is nothing.
func refusedAsSuch(r reply) bool {
	return r.Status == http.StatusBadRequest || r.Status == http.StatusNotFound
}

// respell changes a token in one place.
func respell(chance *rand.Rand, token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~ "
	i := chance.IntN(len(token))
	c := letters[chance.IntN(len(letters)):][:1]
	switch chance.IntN(4) {
	case 0:
		return token[:i] + c + token[i:]
	case 1:
		return token[:i] + token[i+1:]
	case 2:
		return token[:i] + swapCase(token[i:])
	}
	return token[:i] + c + token[i+1:]
}

func swapCase(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, text)
}

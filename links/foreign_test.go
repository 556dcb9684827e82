package links_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/links"
)

// What leads nowhere, or to the host.
var harmless = []string{
	"",
	"Use this code: 12345678",
	"Use this code: 1234 5678.",
	"Code:12345678",
	"您的验证码：12345678。请在应用中输入",
	"Ваш код:12345678!",
	"It is 10:30, or 10:30:45 at e.g. St. John's (i.e. here), v1.2.3 and/or 3.5%",
	"Hello SuperBuddy, you asked for it... wait…come back; a_b, x-y, a.m./p.m.",
	"Hi @alice :) 🎉 \u2764\ufe0f \u1f468\u200d\u1f469",
	"Call 0900 123456 or +49 30 123456",
	"Wait…It is here, so...me too",
	"evil[.]com is spelled evil dot com",
	"node.js, main.go-like, index.php, error.log",
	"سلام می\u200cخواهم",
	"https://app.example.com",
	"https://app.example.com/",
	"HTTPS://App.Example.COM/Reset",
	"https://app.example.com/reset.do;",
	"https://app.example.com/evil.com",
	"line\nhttps://app.example.com/x\nline\r\nhttps://app.example.com/y",
}

// What leads elsewhere, or might.
var harmful = []string{
	"https://app.example.com/%7Ealice/~bob",
	"https://app.example.com/#/reset/12345678",
	"Öffnen Sie „https://app.example.com/x“。",
	"Open <https://app.example.com/x>, (app.example.com/y) or \"app.example.com\"!",
	"Open https://app.example.com/reset?code=12345678&lang=de#top now.",
	"App.Example.com/x.",
	"app.example.com/x",
	"app.example.com",
	"http://app.example.com/x",
	"https://evil.com",
	"http://evil.com/x",
	"https://app.example.com.evil.com",
	"https://app.example.com.evil.com/x",
	"https://app.example.com@evil.com",
	"https://app.example.com:pass@evil.com/x",
	`https://app.example.com\@evil.com`,
	"https://evil.com\\@app.example.com/",
	"https://evil.com/app.example.com",
	"https://evil.com?app.example.com",
	"https://evil.com#https://app.example.com/",
	"evil.com/app.example.com",
	"evil.com",
	"visit EVIL.COM now",
	"visit evil.com. Now",
	"visit (evil.com), now",
	"visit *evil.com*",
	"xapp.example.com",
	"x.app.example.com",
	"example.com",
	"app.example.co",
	"app.example.comm.de",
	"app-example.com",
	"evil.com\u00a0app.example.com",
	"https://app.example.com/x,evil.com",
	"https://app.example.com/)evil.com",
	"https://app.example.com/?u=https://evil.com",
	"https://app.example.com//evil.com",
	"https://app.example.com/x@evil.com",
	"https://app.example.com/é",
	"https://app.example.com:8443/",
	"https://app.example.com:443/",
	"https://app.example.com./x",
	"https://app.example.com?x",
	"https://app.example.com#x",
	"https:app.example.com",
	"https:/app.example.com",
	"https:///app.example.com",
	`https:\\app.example.com`,
	"ftp://app.example.com/",
	"//evil.com",
	"//evil",
	"/\\evil",
	`\\evil\share`,
	"//app.example.com/x",
	"https://",
	"https://evil",
	"https://3232235777",
	"http:3232235777",
	"192.0.2.1",
	"https://192.0.2.1/",
	"0300.0250.1.1",
	"192.0.2.1/x",
	"[2001:db8::1]",
	"2001:db8::1.",
	"https://[2001:db8::1]/",
	"mailto:x@evil.com",
	"mailto:x@app.example.com",
	"x@evil.com",
	"x@evil",
	"x＠evil",
	"write to support@app.example.com.",
	"hxxp://evil",
	"hxxps:evil",
	"javascript:alert(1)",
	"JavaScript:alert(1)",
	"кодjavascript:alert(1)",
	"java\u200bscript:alert(1)",
	"javascript：alert(1)",
	"data:text/html,x",
	"vscode:x",
	"search-ms:query",
	"myapp://x",
	"C:\\x",
	"tel:0900123456",
	"TEL:0900123456",
	"sms:0900",
	"tel:+1-900",
	"mailto:1234",
	"www.evil",
	"Пwww.evil",
	"WWW.evil",
	"evil．com",
	"evil。com",
	"evil｡com",
	"evil﹒com",
	"evil․com",
	"ｅｖｉｌ.com",
	"evil.ｃｏｍ",
	"app．example.com",
	"https://app。example。com/",
	"https：//evil",
	"https:／／evil",
	"evil\u200b.com",
	"evil.\u2060com",
	"evil.c\u00adom",
	"evil.com\u200bapp",
	"x\u200bevil.com\u200bx",
	"app.exam\u200bple.com",
	"https://app.example.com\u200b.evil.com/",
	"https://app.example.com\u200b",
	"evil\u3164.com",
	"evil.c\ufffdom",
	"evil.c\xffom",
	"evil.c\U000e0061om",
	"аpp.example.com",
	"https://арр.example.com/",
	"https://app.examp\u0142e.com/x",
	"https://app.example.com\u0338/x",
	"https://app.example\u2044.com/x",
	"https://xn--pple-43d.com",
	"xn--pple-43d",
	"пример.рф",
	"ПРИМЕР.РФ",
	"пример.рфabc",
	"例え.jp",
	"请访问evil.com获取",
	"evil.com中文",
	"请访问https://app.example.com/x",
	"https://app.example.com请",
	"evil.com-x",
	"evil.com_x",
	"evil_.com",
	"evil.com.nowhere",
	"🎉.ws",
	"i❤️.ws",
	"evil.co.uk",
	"evil.github.io",
	"evil.ck",
	"code.It expires",
	"README.md",
	"_evil.com_",
	"‘https://evil.com’",
	"https://app.example.com/x\nevil.com\napp.example.com",
	"https://app.example.com/x @evil.com",
	"[x](https://evil.com)",
	"https://app.example.com/\"onclick=x",
	// As Thunderbird, KMail or a web mail read them.
	"<https://app.example.com .evil .com/login>",
	"<https://app.example.com @1572395042/login>",
	"\"see https://app.example.com/x .evil .com\"",
	"[ https://app.example.com/x\n.evil.example ]",
	"https://app.example.com\u2003@1572395042/login",
	"https://app.example.com\u202f@0x5db8d822",
	"https://app.example.com @1572395042",
	"www.%65vil%2ecom/login",
	"www.–.com",
	"ªhttps:\u20601572395042",
	"i❤.ws①",
	"\U0001FAE9.ws",
	"evil.рф\u0301",
	"evil.com™",
	"evil.com①",
	"evil.com²",
	"evil.com½",
	"ftp.evil",
	"callto:0900123456",
	"skype:0900",
	"<www.evil .com>",
}

// readers are what mail readers make links of, put as simply as some do it.
var readers = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:https?|ftp|file)://[^\pZ\pC<>"]+`),
	regexp.MustCompile(`(?i)\b(?:mailto|tel|sms):[+\w][^\pZ\pC<>"]*`),
	regexp.MustCompile(`(?i)\b(?:javascript|data|file|vscode):[^\pZ\pC<>"]*[a-z]`),
	regexp.MustCompile(`(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+[^\pZ\pC<>"]*`),
	regexp.MustCompile(`(?i)\bwww\.[\pL\pN][^\pZ\pC<>"]+`),
	regexp.MustCompile(`(?i)\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|io|de|ru|zip)\b[^\pZ\pC<>"]*`),
}

var ownLink = regexp.MustCompile(`(?i)^(?:https?://)?app\.example\.com[^a-z0-9@:.\\-]*(?:/[^\s@:\\]*)?[^a-z0-9@]*$`)

func TestForeign(t *testing.T) {
	for _, text := range harmless {
		t.Run(text, func(t *testing.T) {
			if links.Foreign(text, origin) {
				t.Error("finds something")
			}
		})
	}
	for _, text := range harmful {
		t.Run(text, func(t *testing.T) {
			if !links.Foreign(text, origin) {
				t.Error("finds nothing")
			}
		})
	}
}

func TestForeignOrigins(t *testing.T) {
	for _, tt := range []struct {
		name, origin, text string
		want               bool
	}{
		{"port", "https://app.example.com:8443", "https://app.example.com:8443/x", false},
		{"another port", "https://app.example.com:8443", "https://app.example.com:9443/x", true},
		{"no port", "https://app.example.com:8443", "https://app.example.com/x", true},
		{"longer port", "https://app.example.com:84", "https://app.example.com:8443/x", true},
		{"this machine", "http://localhost:3000", "http://localhost:3000/x", false},
		{"capitals", "https://App.Example.com", "https://app.example.com/x", false},
		{"other scheme", "https://app.example.com", "http://app.example.com/x", true},
		{"longer host", "https://app.example.com", "https://app.example.com.evil/x", true},
		{"U-label", "https://bücher.example.com", "https://bücher.example.com/x", false},
		{"U-label of another", "https://bücher.example.com", "https://bucher.example.com/x", true},
		{"none", "", "https:///x", true},
		{"none and no link", "", "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := links.Foreign(tt.text, tt.origin); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// FuzzForeign holds that a reader makes a link of nothing that passes but what
// leads to the host, and that nothing around a link to elsewhere hides it.
func FuzzForeign(f *testing.F) {
	for _, s := range slices.Concat(harmless, harmful) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		if links.Foreign(s, origin) {
			return
		}
		for _, reader := range readers {
			for _, link := range reader.FindAllString(s, -1) {
				if !ownLink.MatchString(link) {
					t.Errorf("%q passes, and %q is a link", s, link)
				}
			}
		}
		for _, link := range []string{"https://evil.com/", "evil.com", "x@evil.com"} {
			if !links.Foreign(s+" "+link, origin) || !links.Foreign(link+" "+s, origin) {
				t.Errorf("%q hides %q", s, link)
			}
		}
	})
}

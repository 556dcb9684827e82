package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// say starts a reset with a caller's words.
func (w *world) say(header []string, subject, body string) answer {
	w.t.Helper()
	data, err := json.Marshal(map[string]string{"userName": "cesare", "subject": subject, "body": body})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do("POST", buddyPath, header, string(data))
}

func TestBuddyWords(t *testing.T) {
	w := speakBuddy(t, withSecret)
	header := signed(t, "POST", buddyJSON)
	long := strings.Repeat("é", 10_000-len(" @ResetCode")) + " @ResetCode"
	for _, tt := range []struct{ name, subject, body, text string }{
		{"the vendor's example", "Reset Your Password", "Use this code: @ResetCode", ""},
		{"twice", "s", "@ResetCode and @ResetCode", ""},
		{"in a word", "s", "(@ResetCode), Code:@ResetCode.", ""},
		{"another case is text", "s", "@resetcode @ResetCode @RESETCODE", ""},
		{"lines", "s", "Hello,\n\n\tthe code:\n@ResetCode\n", ""},
		{"CR LF", "s", "Hello,\r\n\r\n@ResetCode\r\n", "Hello,\n\n@ResetCode\n"},
		{"markup is text", "<b>s</b> &amp;", "<b>@ResetCode </b> <script> {{.Link}} $link$", ""},
		{"no subject", "", "@ResetCode", ""},
		{"code in the subject", "@ResetCode", "@ResetCode", ""},
		{"languages", "パスワードの再設定 🎉", "您的验证码：@ResetCode。رمزك @ResetCode", ""},
		{"own links", "s", "Open https://app.example.com/reset, or\nhttps://app.example.com\nand enter @ResetCode.", ""},
		{"own link in capitals", "s", "HTTPS://APP.EXAMPLE.COM/X @ResetCode", ""},
		{"subject of 200", strings.Repeat("é", 200), "@ResetCode", ""},
		{"body of 10000", "s", long, ""},
		{"24 KiB", strings.Repeat("x", 200), strings.Repeat("密", 8112) + strings.Repeat("x", 29) + " @ResetCode", ""}, // 24 KiB sharp
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t, w.requests = t, nil
			compareBuddy(t, w.say(header, tt.subject, tt.body), buddyAnswer(200, buddySuccess))
			if tt.text == "" {
				tt.text = tt.body
			}
			want := []reset.Request{{Login: "cesare", ClientIP: ipOf(clientIP), Trusted: true, Dialect: "buddy", Words: &reset.Words{Subject: tt.subject, Text: tt.text}}}
			if diff := cmp.Diff(want, w.requests, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuddyHostileWords(t *testing.T) {
	const (
		noCode         = "body does not have @ResetCode, which stands for the code."
		subjectControl = "subject has a line end or another control character."
		bodyControl    = "body has a control character."
		tooLarge       = "body and subject have more than 24 KiB."
	)
	w := speakBuddy(t, withSecret)
	header := signed(t, "POST", buddyJSON)
	for _, tt := range []struct {
		name, subject, body string
		want                string // "": the mail is ours
	}{
		{"no code", "s", "no code here", noCode},
		{"code in another case", "s", "@resetcode", noCode},
		{"code in the subject alone", "@ResetCode", "x", noCode},
		{"code in pieces", "s", "@Reset\u200bCode", noCode},
		{"empty body", "s", "", noCode},
		{"CR LF in the subject", "s\r\nBcc: x", "@ResetCode", subjectControl},
		{"LF in the subject", "s\n", "@ResetCode", subjectControl},
		{"tab in the subject", "a\tb", "@ResetCode", subjectControl},
		{"NUL in the subject", "a\x00b", "@ResetCode", subjectControl},
		{"C1 in the subject", "a\u0085b", "@ResetCode", subjectControl},
		{"line separator in the subject", "a\u2028b", "@ResetCode", subjectControl},
		{"direction in the subject", "a\u202eb", "@ResetCode", subjectControl},
		{"damage in the subject", "a\ufffdb", "@ResetCode", subjectControl},
		{"CR alone", "s", "@ResetCode\rx", bodyControl},
		{"escape", "s", "@ResetCode\x1b[2J", bodyControl},
		{"DEL", "s", "@ResetCode\x7f", bodyControl},
		{"C1", "s", "@ResetCode\u009b", bodyControl},
		{"form feed", "s", "@ResetCode\f", bodyControl},
		{"paragraph separator", "s", "@ResetCode\u2029", bodyControl},
		{"override", "s", "@ResetCode \u202emoc.live", bodyControl},
		{"isolate", "s", "\u2066@ResetCode\u2069", bodyControl},
		{"damage", "s", "evil.c\ufffdom @ResetCode", bodyControl},
		{"101 line ends", "s", "@ResetCode" + strings.Repeat("\n", 101), "body has more than 100 lines."},
		{"subject of 201", strings.Repeat("é", 201), "@ResetCode", "subject has more than 200 characters."},
		{"body of 10001", "s", strings.Repeat("x", 10_000-len("@ResetCode")+1) + "@ResetCode", "body has more than 10000 characters."},
		{"24 KiB and one", strings.Repeat("x", 200), strings.Repeat("密", 8112) + strings.Repeat("x", 30) + " @ResetCode", tooLarge},
		{"link", "s", "@ResetCode https://evil.example/x", ""},
		{"code in an own link", "s", "https://app.example.com/out/@ResetCode", ""},
		{"code in the query of one", "s", "https://app.example.com/out?to=@ResetCode", ""},
		{"own host as a user", "s", "<https://app.example.com @1572395042/login> @ResetCode", ""},
		{"own link that brackets continue", "s", "<https://app.example.com .evil .com/login> @ResetCode", ""},
		{"encoded word in the subject", "=?utf-8?q?evil=2Ecom?=", "@ResetCode", ""},
		{"unseen in the subject", "evil.c\u200bom", "@ResetCode", ""},
		{"domain", "s", "@ResetCode evil.com", ""},
		{"domain in the subject", "evil.com", "@ResetCode", ""},
		{"link in the subject", "https://app.example.com.evil.com", "@ResetCode", ""},
		{"address", "s", "@ResetCode help@app.example.com", ""},
		{"user of another host", "s", "https://app.example.com@evil.com @ResetCode", ""},
		{"markup", "s", "<a href='https://evil.com'>@ResetCode</a>", ""},
		{"link that the code completes", "s", "evil@ResetCode.com", ""},
		{"host that the code completes", "s", "https://app.example.com@ResetCode/ x", ""},
		{"top level that the code hides", "s", "x@ResetCode@evil", ""},
		{"code as a user", "s", "@ResetCode@evil.com", ""},
		{"user of a code in the subject", "x@ResetCode.evil.com", "@ResetCode", ""},
		{"hidden dot", "s", "@ResetCode evil\u200b.com", ""},
		{"full-width dot", "s", "@ResetCode evil．com", ""},
		{"script", "s", "javascript:alert(1) @ResetCode", ""},
		{"telephone", "s", "tel:0900123456 @ResetCode", ""},
		{"endless", "s", "@ResetCode evil.com/" + strings.Repeat("x", 5000), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t, w.requests, w.calls = t, nil, nil
			got := w.say(header, tt.subject, tt.body)
			if tt.want == "" {
				compareBuddy(t, got, buddyAnswer(200, buddySuccess))
				if len(w.requests) != 1 || w.requests[0].Words != nil {
					t.Errorf("requests %v", w.requests)
				}
				return
			}
			compareBuddy(t, got, buddyFormat(tt.want))
			if len(w.requests) > 0 || w.asked() != nil {
				t.Errorf("the domain was asked: %q", w.asked())
			}
		})
	}
}

// Nothing is wrong with words that nobody takes.
func TestBuddyIgnoresWords(t *testing.T) {
	w := speakBuddy(t, nil)
	compareBuddy(t, w.say(buddyJSON, "evil.com\r\n", "no code, but https://evil.com\x00"), buddyAnswer(200, buddySuccess))
	if len(w.requests) != 1 || w.requests[0].Words != nil {
		t.Errorf("requests %v", w.requests)
	}
}

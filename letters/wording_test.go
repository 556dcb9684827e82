package letters_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// The wording that BaasBox has by default.
const (
	templateText = "Hi $user_name$\nwe received a request to reset your password because you forgot it. Please follow this link within 15 minutes and you will receive further information about the reset procedure: $link$\n"
	templateHTML = "Hi $user_name$ <br>we received a request to reset your password because you forgot it. Please follow this link within 15 minutes and you will receive further information about the reset procedure: <a href='$link$'>$link$</a> \n"
)

// templated is a wording with all placeholders.
func templated(text, html string) reset.Wording {
	return reset.Wording{
		Subject: "BaasBox: reset password", Text: text, HTML: html,
		Link: "$link$", Token: "$token$", Code: "$code$", Login: "$user_name$",
	}
}

// worded returns options with one wording for the dialect d.
func worded(w reset.Wording) letters.Options {
	o := options()
	o.Wordings = map[string]reset.Wording{"d": w}
	return o
}

// letterIn returns a reset letter of the dialect d.
func letterIn(words *reset.Words) reset.Letter {
	l := letter(reset.LetterReset)
	l.Dialect, l.Words = "d", words
	return l
}

// complete fails the test if one of the parts lacks what every reset letter
// has to say.
func complete(t *testing.T, l reset.Letter, text, markup string) {
	t.Helper()
	visible, hrefs := page(t, markup)
	want := []string{"Example", "2026-01-02 03:04 UTC", "Reference: BCDF-2345", "Account: alice", "30 minutes", "help@example.com", l.CancelLink}
	if l.Code != "" {
		want = append(want, "10 minutes")
		for name, s := range map[string]string{"text": text, "HTML": visible} {
			if !regexp.MustCompile(`\b(12345678|1234 5678)\b`).MatchString(s) {
				t.Errorf("no code in the %s", name)
			}
		}
	}
	for _, s := range want {
		if !strings.Contains(text, s) || !strings.Contains(visible, s) {
			t.Errorf("%q: in text %v, in HTML %v", s, strings.Contains(text, s), strings.Contains(visible, s))
		}
	}
	if !slices.Contains(strings.Fields(text), l.Link) || !slices.Contains(hrefs, l.Link) || !slices.Contains(hrefs, l.CancelLink) {
		t.Errorf("links: in text %v, in HTML %q", slices.Contains(strings.Fields(text), l.Link), hrefs)
	}
	if !slices.Contains(strings.Split(text, "\n"), l.CancelLink) {
		t.Error("the link to cancel does not stand alone on its line")
	}
	for _, href := range hrefs {
		if href != l.Link && href != l.CancelLink {
			t.Errorf("foreign link %s", href)
		}
	}
	if strings.Contains(text, "\n\n\n") || strings.Contains(text, "<no value>") {
		t.Errorf("unfinished text:\n%s", text)
	}
}

func TestTemplatesOfADialect(t *testing.T) {
	l := letterIn(nil)
	tests := []struct {
		name       string
		text, html string
		wantText   string // what the text part begins with
		wantHTML   string // in the HTML part
	}{
		{
			"text and HTML", templateText, templateHTML,
			strings.NewReplacer("$user_name$", "alice", "$link$", l.Link).Replace(templateText),
			strings.NewReplacer("$user_name$", "alice", "$link$", l.Link).Replace(templateHTML),
		},
		{
			"text alone", templateText, "",
			strings.NewReplacer("$user_name$", "alice", "$link$", l.Link).Replace(templateText),
			`procedure: <a class="link" href="` + l.Link + `" style="color: #1a56c4; word-break: break-all;">` + l.Link + `</a></p>`,
		},
		{"line ends", "A\r\n\tB\rC\u2028D", "", "A\n B\nC\nD\n", "A<br>\n B<br>\nC<br>\nD</p>"},
		{"nothing is held", "A mail.", "<p>A mail.</p>", "A mail.\n", "<p>A mail.</p>"},
		{"everything is held", "$link$ $code$", "<a href=$link$>x</a> $code$", l.Link + " 12345678\n", "<a href=" + l.Link + ">x</a> 12345678"},
		{"token", "Token: $token$", "<p>$token$</p>", "Token: " + token + "\n", "<p>" + token + "</p>"},
		{"document", "x", "<HTML><Body><p>x</p></Body></HTML>", "x\n", "<HTML><Body><p>x</p><div "},
		{"document that mentions its end", "x", "<body><p></body></p>x</body>y", "x\n", "<body><p></body></p>x<div "},
		{"document without an end", "x", "<body><p>x", "x\n", "<body><p>x<div "},
		{"markup in text", "<b>&amp;</b> 1 < 2", "", "<b>&amp;</b> 1 < 2\n", "&lt;b&gt;&amp;amp;&lt;/b&gt; 1 &lt; 2"},
		{"paragraphs", "A\n\n\n  \nB\n\n", "", "A\n\nB\n", `A</p>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, text, markup := parts(t, compose(t, worded(templated(tt.text, tt.html)), l))
			if got := h.Get("Subject"); got != "BaasBox: reset password" {
				t.Errorf("Subject: %s", got)
			}
			if !strings.HasPrefix(text, tt.wantText) {
				t.Errorf("text:\n%s\nwant\n%s", text, tt.wantText)
			}
			if !strings.Contains(markup, tt.wantHTML) {
				t.Errorf("HTML:\n%s\nwant\n%s", markup, tt.wantHTML)
			}
			complete(t, l, text, markup)
			if n := strings.Count(reset.Fold(markup), "<body"); n != 1 {
				t.Errorf("%d pages in one:\n%s", n, markup)
			}
		})
	}
}

// TestWhatIsAdded holds that below a wording stands what it lacks, once.
func TestWhatIsAdded(t *testing.T) {
	tests := []struct {
		name, text, html             string
		link, code                   bool // added to the text part
		linkInHTML, codeInHTML, none bool
	}{
		{"nothing held", "x", "x", true, true, true, true, false},
		{"both held", "$link$\n$code$", "<a href='$link$'>$code$</a>", false, false, false, false, false},
		{"link in a sentence", "Open ($link$).", "x", false, true, true, true, false},
		{"link that goes on", "$link$index.html", "<a href='$link$/x'>x</a>", true, true, true, true, false},
		{"link before an ideographic stop", "$link$。", "$link$", true, true, false, true, false},
		{"code that goes on", "7$code$", "$code$0", true, true, true, true, false},
		{"code among other letters", "コードは$code$です", "<b>$code$</b>", true, false, true, false, false},
		{"in a comment", "x", "<!-- $link$ $code$ --> x", true, true, true, true, false},
		{"in a hidden element", "x", "<div style='Display: NONE'><a href='$link$'>$code$</a></div> x", true, true, true, true, false},
		{"in another attribute", "x", "<p title='$link$ $code$'>x", true, true, true, true, false},
		{"in an attribute of another element", "x", "<p href='$link$'>x", true, true, true, true, false},
		{"in a style sheet", "x", "<p>x<style>/* $link$ $code$ */</style>", true, true, true, true, false},
		{"in a text field", "x", "<p><textarea>$link$ $code$</textarea>", true, true, true, true, false},
		{"in a template", "x", "<p><template>$link$ $code$</template>", true, true, true, true, false},
		{"in a table", "$link$ $code$", "<table><td>Code<td>$code$<td>Link<td>$link$</table>", false, false, false, false, false},
		{"in the head", "x", "<html><head><title>$link$ $code$</title></head><body>x", true, true, true, true, false},
		{"in text made to HTML", "$link$ $code$", "", false, false, false, false, false},
		{"not in text made to HTML", "x", "", true, true, true, true, false},
		{"no code", "$link$", "<a href='$link$'>x</a>", false, false, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := letterIn(nil)
			if tt.none {
				l.Code = ""
			}
			_, text, markup := parts(t, compose(t, worded(templated(tt.text, tt.html)), l))
			visible, _ := page(t, markup)
			_, text, found := strings.Cut(text, "\n\n----------\n\n")
			if !found {
				t.Fatalf("nothing stands below:\n%s", text)
			}
			lines := strings.Split(text, "\n")
			if got := slices.Contains(lines, l.Link); got != tt.link {
				t.Errorf("link added to the text: %v", got)
			}
			if got := slices.Contains(lines, "1234 5678"); got != tt.code {
				t.Errorf("code added to the text: %v", got)
			}
			if got := strings.Contains(visible, "Choose a new password "+l.Link); got != tt.linkInHTML {
				t.Errorf("link added to the HTML: %v", got)
			}
			if got := strings.Contains(visible, "1234 5678"); got != tt.codeInHTML {
				t.Errorf("code added to the HTML: %v", got)
			}
			// How long each lives is said once, whoever has put it in.
			for ttl, want := range map[string]int{"30 minutes": 1, "10 minutes": 1} {
				if ttl == "10 minutes" && tt.none {
					want = 0
				}
				if n, m := strings.Count(text, ttl), strings.Count(visible, ttl); n != want || m != want {
					t.Errorf("%s: %d times in the text, %d times in the HTML", ttl, n, m)
				}
			}
		})
	}
}

func TestValuesAreNoPlaceholders(t *testing.T) {
	for login, want := range map[string]struct{ text, html string }{
		"$link$":                {"Hi $link$!", "Hi $link$!"},
		"$code$$token$":         {"Hi $code$$token$!", "Hi $code$$token$!"},
		`O'Neil & "Sons"`:       {`Hi O'Neil & "Sons"!`, `Hi O&#39;Neil &amp; &#34;Sons&#34;!`},
		"evil.com":              {"Hi !", "Hi !"},
		"<script>":              {"Hi !", "Hi !"},
		"alice\u202e\r\nBcc: x": {"Hi !", "Hi !"},
		"{{.Link}}":             {"Hi {{.Link}}!", "Hi {{.Link}}!"},
		"alice@example.org":     {"Hi alice@example.org!", "Hi alice@example.org!"},
	} {
		for name, markup := range map[string]string{"own HTML": "<p>Hi $user_name$!</p>", "made of text": ""} {
			t.Run(login+", "+name, func(t *testing.T) {
				l := letterIn(nil)
				l.To.Login = login
				_, text, html := parts(t, compose(t, worded(templated("Hi $user_name$!", markup)), l))
				if !strings.HasPrefix(text, want.text+"\n") {
					t.Errorf("text %.60q, want %q", text, want.text)
				}
				if !strings.Contains(html, ">"+want.html+"</p>") {
					t.Errorf("HTML has no %q:\n%s", want.html, html)
				}
			})
		}
	}
}

func TestOurOwnWording(t *testing.T) {
	words := &reset.Words{Subject: "Hi", Text: "Code: @ResetCode"}
	tests := []struct {
		name    string
		options letters.Options
		edit    func(*reset.Letter)
	}{
		{"no words", called(), func(l *reset.Letter) { l.Words = nil }},
		{"empty words", called(), func(l *reset.Letter) { l.Words = &reset.Words{Subject: "Hi", Text: " \r\n\x00\t"} }},
		{"unknown dialect", called(), func(l *reset.Letter) { l.Dialect = "spoken no more" }},
		{"words without a dialect", called(), func(l *reset.Letter) { l.Dialect = "" }},
		{"no code", called(), func(l *reset.Letter) { l.Code = "" }},
		{"no code, for a template", worded(templated("$code$", "")), func(l *reset.Letter) { l.Words, l.Code = nil, "" }},
		{"no code, for the HTML of a template", worded(templated("x", "$code$")), func(l *reset.Letter) { l.Words, l.Code = nil, "" }},
		{"too long once it is escaped", called(), func(l *reset.Letter) {
			l.Words = &reset.Words{Subject: "Hi", Text: strings.Repeat(`"`, reset.MaxWords)}
		}},
		{"too long with its links", worded(templated(strings.Repeat("$link$\n", 200), "")), func(l *reset.Letter) { l.Words, l.Link = nil, l.Link+strings.Repeat("x", 1000) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := letterIn(words)
			tt.edit(&l)
			h, text, _ := parts(t, compose(t, tt.options, l))
			if got := h.Get("Subject"); got != "Reset your password for Example" {
				t.Errorf("Subject: %s", got)
			}
			if !strings.HasPrefix(text, "Hello Alice Liddell,\n") {
				t.Errorf("text:\n%s", text)
			}
		})
	}
}

func TestNoticesAreWordedAsOurs(t *testing.T) {
	for _, kind := range kinds[1:] {
		l := letter(kind)
		l.Dialect, l.Words = "d", &reset.Words{Text: "x"}
		_, got, _ := parts(t, compose(t, worded(templated(templateText, templateHTML)), l))
		_, want, _ := parts(t, compose(t, options(), letter(kind)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A wording without a subject has ours, which is the operator's if they have
// one.
func TestSubjectOfAWording(t *testing.T) {
	o := worded(reset.Wording{Text: "x"})
	o.Templates = folder("reset.txt", ownText, "reset.html", ownHTML)
	h, text, _ := parts(t, compose(t, o, letterIn(nil)))
	if got := h.Get("Subject"); got != "=?utf-8?q?Neues_Passwort_f=C3=BCr_Example?=" || !strings.HasPrefix(text, "x\n") {
		t.Errorf("Subject: %s, text:\n%s", got, text)
	}
}

func TestWordingsThatAreRefused(t *testing.T) {
	edited := func(edit func(*reset.Wording)) reset.Wording {
		w := templated(templateText, templateHTML)
		edit(&w)
		return w
	}
	for _, tt := range []struct {
		name string
		w    reset.Wording
		want string
	}{
		{"link in the subject", edited(func(w *reset.Wording) { w.Subject = "Open $link$" }), "must not hold $link$"},
		{"token in the subject", edited(func(w *reset.Wording) { w.Subject = "$token$" }), "must not hold $token$"},
		{"code in the subject", edited(func(w *reset.Wording) { w.Subject = "Code: $code$" }), "must not hold $code$"},
		{"login in the subject", edited(func(w *reset.Wording) { w.Subject = "$user_name$: reset" }), "must not hold $user_name$"},
		{"code in a subject alone", reset.Wording{Subject: "@ResetCode", Code: "@ResetCode"}, "must not hold @ResetCode"},
		{"subject of two lines", edited(func(w *reset.Wording) { w.Subject = "a\r\nBcc: b@example.com" }), "one line"},
		{"long subject", edited(func(w *reset.Wording) { w.Subject = strings.Repeat("ü", 201) }), "200"},
		{"subject that is not UTF-8", edited(func(w *reset.Wording) { w.Subject = "\xff" }), "one line"},
		{"text that is not UTF-8", edited(func(w *reset.Wording) { w.Text = "\xff" }), "UTF-8"},
		{"HTML that is not UTF-8", edited(func(w *reset.Wording) { w.HTML = "\xff" }), "UTF-8"},
		{"HTML alone", edited(func(w *reset.Wording) { w.Text = "" }), "no text part"},
		{"text of nothing", reset.Wording{Text: "\x00\x01"}, "no text part"},
		{"long text", edited(func(w *reset.Wording) { w.Text = strings.Repeat("x ", 33_000) }), "65536 bytes"},
		{"long HTML", edited(func(w *reset.Wording) { w.HTML = strings.Repeat("x ", 33_000) }), "65536 bytes"},
		{"long document", edited(func(w *reset.Wording) { w.HTML = "<body>" + strings.Repeat("x ", 32_000) }), "65536 bytes"},
		{"comment without an end", edited(func(w *reset.Wording) { w.HTML += "<!--" }), "is each of its elements closed?"},
		{"style without an end", edited(func(w *reset.Wording) { w.HTML += "<style>" }), "is each of its elements closed?"},
		{"text field without an end", edited(func(w *reset.Wording) { w.HTML += "<textarea>" }), "is each of its elements closed?"},
		{"hidden without an end", edited(func(w *reset.Wording) { w.HTML += "<div style='display :none'>" }), "is each of its elements closed?"},
		{"hidden body", edited(func(w *reset.Wording) { w.HTML = "<html><body hidden>" + w.HTML + "</body></html>" }), "is each of its elements closed?"},
		{"end in a comment", edited(func(w *reset.Wording) { w.HTML = "<html><body>x</body></html><!-- </body> -->" }), "is each of its elements closed?"},
		{"too deep", edited(func(w *reset.Wording) { w.HTML = strings.Repeat("<div>", 1000) + w.HTML }), "is each of its elements closed?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := letters.New(worded(tt.w))
			if err == nil || !strings.HasPrefix(err.Error(), "dialect d: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := letters.New(worded(reset.Wording{Subject: strings.Repeat("ü", 200), Text: "x"})); err != nil {
		t.Errorf("a subject of 200 characters: %v", err)
	}
}

// A dialect may have a subject of its own and no text.
func TestSubjectOfADialectAlone(t *testing.T) {
	o := worded(reset.Wording{Subject: "Shop: reset password"})
	h, text, markup := parts(t, compose(t, o, letterIn(nil)))
	if subject := h.Get("Subject"); subject != "Shop: reset password" {
		t.Errorf("subject %q", subject)
	}
	complete(t, letterIn(nil), text, markup)
	h, _, _ = parts(t, compose(t, o, letterIn(&reset.Words{})))
	if subject := h.Get("Subject"); subject == "Shop: reset password" {
		t.Error("a caller's letter has the dialect's subject")
	}
}

package dialect_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// What is wrong in a file is named by option and file, and where it can be by
// key and line.
func TestBaasBoxOpenRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	text, page, feedback := file(t, "ok.txt", "$link$"), file(t, "ok.html", shopForm), file(t, "ok2.html", shopFeedback)
	config := func(content string) func(*dialect.BaasBox) {
		path := file(t, "c.json", content)
		return func(b *dialect.BaasBox) { b.Configuration = path }
	}
	for _, tt := range []struct {
		name string
		set  func(*dialect.BaasBox)
		want string
	}{
		{"no configuration", func(b *dialect.BaasBox) { b.Configuration = missing }, "configuration: FILE: no such file or directory"},
		{"folder", func(b *dialect.BaasBox) { b.Configuration = filepath.Dir(missing) }, "configuration: FILE: not a file"},
		{"large", config(strings.Repeat("#", 1<<20+1)), "configuration: FILE: it has more than 1024 KiB"},
		{"foreign", config("hello"), "configuration: FILE: not an exported configuration of BaasBox; save the answer to GET /admin/configuration/dump.json"},
		{"name of two lines", config(`[{"key":"application.name","value":"a\nb"}]`), "configuration: FILE: application.name: one line"},
		{"no minutes", config(`[{"key":"email.expiration.time","value":"soon"}]`), "configuration: FILE: email.expiration.time: not a number of minutes"},
		{"no time", config(`[{"key":"email.expiration.time","value":"0"}]`), "configuration: FILE: email.expiration.time: a link lives 1m to 24h"},
		{"two days", config(`[{"key":"email.expiration.time","value":"2880"}]`), "configuration: FILE: email.expiration.time: a link lives 1m to 24h"},
		{"ages", config(`[{"key":"email.expiration.time","value":"99999999999999999999"}]`), "configuration: FILE: email.expiration.time: not a number"},
		{"subject of two lines", config(`[{"key":"email.subject","value":"a\nb"}]`), "configuration: FILE: email.subject: one line"},
		{"only HTML", config(`[{"key":"email.template.html","value":"$link$"}]`), "configuration: FILE: email.template.html: a mail in HTML needs a text"},
		{"text without link", config(`[{"key":"email.template.text","value":"Hi $user_name$"}]`), "configuration: FILE: email.template.text: nobody could follow it"},
		{"function", config(`[{"key":"email.template.text","value":"$link$\n$upper(user_name)$"}]`), "configuration: FILE: email.template.text: line 2: $upper(user_name)$ is not understood"},
		{"only the form", config(`[{"key":"page.html.template","value":"$form_template$"}]`), "configuration: FILE: page.html.template: it needs the page that says"},
		{"only the feedback", config(`[{"key":"page.html.feedback.template","value":"$error$"}]`), "configuration: FILE: page.html.feedback.template: it needs the page with the form"},

		{"no text", func(b *dialect.BaasBox) { b.EmailTemplateText = missing }, "email_template_text: FILE: no such file"},
		{"empty text", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", " \n") }, "email_template_text: FILE: the file is empty"},
		{"not text", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", "\xff$link$") }, "email_template_text: FILE: not text in UTF-8"},
		{"NUL", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", "\x00$link$") }, "email_template_text: FILE: not text in UTF-8"},
		{"large text", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", strings.Repeat("a", 256<<10+1)) }, "email_template_text: FILE: it has more than 256 KiB"},
		{"condition in a mail", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", "\n$if(link)$$link$$endif$") }, "email_template_text: FILE: line 2: $if(…)$ is possible on pages only"},
		{"text like a variable", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", `$link$ \$user_name\$`) }, `email_template_text: FILE: \$user_name\$ cannot be told from the variable`},
		{"variable of pages", func(b *dialect.BaasBox) { b.EmailTemplateText = file(t, "x", `$link$ $application_name$`) }, `email_template_text: FILE: line 1: $application_name$ has no value here; there are $link$, $token$, $user_name$`},
		{"HTML alone", func(b *dialect.BaasBox) { b.EmailTemplateHTML = text }, "email_template_html: FILE: a mail in HTML needs a text"},
		{"HTML without link", func(b *dialect.BaasBox) { b.EmailTemplateText, b.EmailTemplateHTML = text, page }, "email_template_html: FILE: line 1: $application_name$ has no value"},
		{"name as attributes in HTML", func(b *dialect.BaasBox) {
			b.EmailTemplateText, b.EmailTemplateHTML = file(t, "t", "$link$"), file(t, "x", "$link$<p title=$user_name$>")
		}, "email_template_html: FILE: line 1: $user_name$ stands where its value could become code"},
		{"form alone", func(b *dialect.BaasBox) { b.PageHTMLTemplate = page }, "page_html_template: FILE: it needs the page that says"},
		{"feedback alone", func(b *dialect.BaasBox) { b.PageHTMLFeedbackTemplate = feedback }, "page_html_feedback_template: FILE: it needs the page with the form"},
		{"form that is none", func(b *dialect.BaasBox) {
			b.PageHTMLTemplate, b.PageHTMLFeedbackTemplate = file(t, "x", "<b>$error$</b>"), feedback
		}, "page_html_template: FILE: nobody could choose a password"},
		{"feedback without answer", func(b *dialect.BaasBox) {
			b.PageHTMLTemplate, b.PageHTMLFeedbackTemplate = page, file(t, "x", "<b>$error$</b>")
		}, "page_html_feedback_template: FILE: nobody would learn that the password was changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var path string
			_, err := opened(t, func(b *dialect.BaasBox) {
				tt.set(b)
				for _, p := range []string{b.EmailTemplateText, b.PageHTMLTemplate, b.PageHTMLFeedbackTemplate, b.EmailTemplateHTML, b.Configuration} {
					if p != "" && p != page && p != feedback && p != text {
						path = p
					}
				}
			})
			if err == nil {
				t.Fatal("it is taken")
			}
			got := err.Error()
			for _, p := range []string{path, text, page, feedback} {
				if p != "" {
					got = strings.ReplaceAll(got, p, "FILE")
				}
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A setting that an option replaces may be as bad as it likes.
func TestBaasBoxOptionsReplaceBadSettings(t *testing.T) {
	if _, err := opened(t, func(b *dialect.BaasBox) {
		b.Configuration = file(t, "c.json", `[{"key":"application.name","value":"a\nb"},{"key":"email.subject","value":"a\nb"},`+
			`{"key":"email.expiration.time","value":"0"},{"key":"email.template.text","value":"$x$"},{"key":"page.html.template","value":"$x$"},{"key":"page.html.feedback.template","value":"$x$"}]`)
		b.ApplicationName, b.EmailSubject, b.EmailExpirationTime = "a", "S", time.Minute
		b.EmailTemplateText = file(t, "mail.txt", "$link$")
		b.PageHTMLTemplate, b.PageHTMLFeedbackTemplate = file(t, "form.html", shopForm), file(t, "feedback.html", shopFeedback)
	}); err != nil {
		t.Error(err)
	}
}

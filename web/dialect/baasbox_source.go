package dialect

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect/stringtemplate"
)

const (
	// An export with all sections and four templates has some 30 KiB.
	maxBaasboxConfiguration = 1 << 20
	maxBaasboxTemplate      = 256 << 10

	minBaasboxTTL = time.Minute
)

// SHA-256 of the two pages that BaasBox comes with, page.html.template and
// page.html.feedback.template in conf/configuration.conf. They are the same in
// all versions from 0.5.7 to 0.9.5.
const (
	baasboxDefaultForm     = "5912d576dba60e32c1eba0721044f9d52c28b5ef7c6d576988a697c03a1f4688"
	baasboxDefaultFeedback = "6e3660a73ee11c70acad77f5938c86d903b22ac7d2a679eb93babc485aa0491c"
)

// A baasboxSource is a text that an operator wrote, and where.
type baasboxSource struct {
	where string // begins with the name of an option
	text  string // "": there is none
}

func (s baasboxSource) fault(err error) error { return fmt.Errorf("%s: %w", s.where, err) }

// has tells whether the text is the one with a SHA-256, but for white space at
// its ends: an export and an editor leave other line ends there.
func (s baasboxSource) has(sum string) bool {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.TrimSpace(s.text)))) == sum
}

// load reads the files that options name. An option wins over what the exported
// configuration says of the same.
func (b *BaasBox) load() error {
	var settings baasboxSettings
	if b.Configuration != "" {
		data, err := readBaasboxFile(b.Configuration, maxBaasboxConfiguration)
		if err == nil {
			settings, err = parseBaasboxSettings([]byte(data))
		}
		if err != nil {
			return fmt.Errorf("configuration: %s: %w", b.Configuration, err)
		}
	}
	setting := func(key string) baasboxSource {
		return baasboxSource{"configuration: " + b.Configuration + ": " + key, settings[key]}
	}
	for _, unused := range settings.unused() {
		b.notes = append(b.notes, web.Note{Text: unused})
	}
	if b.RevealAccounts {
		b.notes = append(b.notes, web.Note{Warning: true, Text: revealing})
		if b.AppCode == baasboxCode {
			b.notes = append(b.notes, web.Note{Warning: true, Text: "reveal_accounts: everybody knows app_code " + baasboxCode + ", and can learn who has an account"})
		}
	}
	name := setting(baasboxName)
	if b.ApplicationName == "" && !isBaasboxLine(name.text) {
		return name.fault(fmt.Errorf("one line of at most %d characters; write `application_name`", maxBaasboxLine))
	}
	b.name = cmp.Or(b.ApplicationName, name.text, "BaasBox")
	if err := b.loadTTL(setting(baasboxExpiration)); err != nil {
		return err
	}
	sources := make([]baasboxSource, 4)
	for i, s := range []struct{ option, file, key string }{
		{"email_template_text", b.EmailTemplateText, baasboxText},
		{"email_template_html", b.EmailTemplateHTML, baasboxHTML},
		{"page_html_template", b.PageHTMLTemplate, baasboxForm},
		{"page_html_feedback_template", b.PageHTMLFeedbackTemplate, baasboxFeedback},
	} {
		if sources[i] = setting(s.key); s.file == "" {
			continue
		}
		sources[i] = baasboxSource{where: s.option + ": " + s.file}
		text, err := readBaasboxFile(s.file, maxBaasboxTemplate)
		if err == nil && strings.TrimSpace(text) == "" {
			err = errors.New("the file is empty")
		}
		if err != nil {
			return sources[i].fault(err)
		}
		sources[i].text = text
	}
	if err := b.loadWording(setting(baasboxSubject), sources[0], sources[1]); err != nil {
		return err
	}
	return b.loadPages(sources[2], sources[3])
}

func (b *BaasBox) loadTTL(minutes baasboxSource) error {
	b.linkTTL = b.EmailExpirationTime
	if b.linkTTL != 0 || minutes.text == "" {
		return nil
	}
	n, err := strconv.ParseInt(minutes.text, 10, 32)
	if err != nil {
		return minutes.fault(errors.New("not a number of minutes; write `email_expiration_time`"))
	}
	b.linkTTL = time.Duration(n) * time.Minute
	if err := checkBaasboxTTL(b.linkTTL); err != nil {
		return minutes.fault(err)
	}
	return nil
}

func (b *BaasBox) loadWording(subject, text, html baasboxSource) error {
	if b.EmailSubject != "" {
		subject = baasboxSource{"email_subject", b.EmailSubject}
	}
	if err := checkBaasboxSubject(subject.text); err != nil {
		return subject.fault(err)
	}
	b.wording.Subject = subject.text
	if text.text == "" {
		if html.text != "" {
			return html.fault(errors.New("a mail in HTML needs a text for readers that show none; write `email_template_text`"))
		}
		return nil
	}
	b.wording.Link, b.wording.Token, b.wording.Login = "$link$", "$token$", "$user_name$"
	var err error
	if b.wording.Text, err = parseBaasboxMail(text.text, false); err != nil {
		return text.fault(err)
	}
	if html.text == "" {
		return nil
	}
	if b.wording.HTML, err = parseBaasboxMail(html.text, true); err != nil {
		return html.fault(err)
	}
	return nil
}

func (b *BaasBox) loadPages(form, feedback baasboxSource) error {
	switch {
	case form.text == "" && feedback.text == "":
		return nil
	case form.text == "":
		return feedback.fault(errors.New("it needs the page with the form; write `page_html_template`"))
	case feedback.text == "":
		return form.fault(errors.New("it needs the page that says what became of it; write `page_html_feedback_template`"))
	case form.has(baasboxDefaultForm) && feedback.has(baasboxDefaultFeedback):
		// Nobody made them for this app, and here they would be bare: they
		// take their style from another host.
		b.notes = append(b.notes, web.Note{Text: form.where + ": this page and the other are those that BaasBox comes with; our own are shown in their place"})
		return nil
	}
	var err error
	if b.form, err = parseBaasboxForm(form.text); err != nil {
		return form.fault(err)
	}
	if b.feedback, err = parseBaasboxFeedback(feedback.text); err != nil {
		return feedback.fault(err)
	}
	for _, page := range []struct {
		*baasboxPage
		where string
	}{{b.form, form.where}, {b.feedback, feedback.where}} {
		if page.inert {
			b.notes = append(b.notes, web.Note{Text: page.where + ": browsers will neither load what it has from other files nor run scripts in attributes, " +
				"as the token stands in the page's address; write styles and scripts into <style> and <script>"})
		}
	}
	return nil
}

// parseBaasboxMail reads the template of a mail and returns it with the
// placeholders of [reset.Wording].
func parseBaasboxMail(text string, isHTML bool) (string, error) {
	variables := []string{"link", "token", "user_name"}
	t, err := stringtemplate.Parse(text, variables...)
	if err != nil {
		return "", err
	}
	if line := t.Condition(); line > 0 {
		return "", fmt.Errorf("line %d: $if(…)$ is possible on pages only; a mail always has all variables", line)
	}
	if isHTML {
		if err := checkBaasboxMarkup(t, variables); err != nil {
			return "", err
		}
	}
	want := make(map[string]int)
	mail := t.Render(func(v stringtemplate.Variable) (string, bool) {
		want["$"+v.Name+"$"]++
		return "$" + v.Name + "$", true
	})
	if want["$link$"] == 0 {
		return "", errors.New("nobody could follow it: write $link$ where the address is to stand")
	}
	for _, placeholder := range []string{"$link$", "$token$", "$user_name$"} {
		if strings.Count(mail, placeholder) != want[placeholder] {
			return "", fmt.Errorf(`\%s\$ cannot be told from the variable`, strings.TrimSuffix(placeholder, "$"))
		}
	}
	return mail, nil
}

// checkBaasboxSubject judges a subject. BaasBox writes it as it is, and a
// subject is no place for a link.
func checkBaasboxSubject(subject string) error {
	if !isBaasboxLine(subject) {
		return fmt.Errorf("one line of at most %d characters", maxBaasboxLine)
	}
	for _, placeholder := range []string{"$link$", "$token$", "$user_name$"} {
		if strings.Contains(subject, placeholder) {
			return errors.New("a subject has no variables, in BaasBox neither; write plain text")
		}
	}
	return nil
}

func checkBaasboxTTL(ttl time.Duration) error {
	if ttl < minBaasboxTTL || ttl > reset.MaxLinkTTL {
		return errors.New("a link lives 1m to 24h, such as `email_expiration_time 15m`")
	}
	return nil
}

// readBaasboxFile reads a file of text.
func readBaasboxFile(name string, limit int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", errors.Unwrap(err) // the caller names the file
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.New("not a file")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", errors.New("it cannot be read")
	case int64(len(data)) > limit:
		return "", fmt.Errorf("it has more than %d KiB", limit>>10)
	case !utf8.Valid(data) || strings.ContainsRune(string(data), 0):
		return "", errors.New("not text in UTF-8")
	}
	return strings.TrimPrefix(string(data), "\ufeff"), nil
}

package dialect

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	// baasboxCode is the app code of a BaasBox that nobody has configured.
	baasboxCode = "1234567890"

	// maxBaasboxLine bounds the subject of a mail and the name of an app.
	maxBaasboxLine = 200
)

// BaasBox speaks the reset routes of BaasBox:
//
//	GET  /user/{username}/password/reset   asks for a mail
//	GET  /user/password/reset/{token}      the link in it: the form
//	POST /user/password/reset/{token}      takes password and repeat-password
//
// With .json behind the token the latter two speak JSON. Without, they show
// the pages that an administrator made for BaasBox, or ours where there are
// none, or only those that BaasBox comes with. OPTIONS is answered for every
// path; any other method or path below these is answered 404.
//
// All dead links get one answer. A link works until one new password is
// applied or it expires, however often it is opened. Of the client's headers an
// error document shows those that are harmless.
//
// The mail is worded by an administrator's templates, or as ours.
type BaasBox struct {
	// Path is what stands before the vendor's paths, as clients call them.
	// Default: the root.
	Path string `json:"path,omitempty" usage:"path /baasbox"`

	// AppCode is the app code that clients have to send. The limits by
	// address are fifty times as large for one that shows it, unless it is
	// 1234567890, which anybody knows, and nobody is told of accounts. Default: 1234567890.
	AppCode string `json:"app_code,omitempty" usage:"app_code 1234567890"`

	// ApplicationName is told on pages and in JSON. Default: application.name
	// in Configuration, or BaasBox.
	ApplicationName string `json:"application_name,omitempty" usage:"application_name BaasBox"`

	// APIVersion is told in error documents. Default: 0.9.5.
	APIVersion string `json:"api_version,omitempty" usage:"api_version 0.9.5"`

	// Configuration is a file with the answer of the BaasBox to GET
	// /admin/configuration/dump.json or /admin/configuration/PasswordRecovery,
	// or with the lines baasbox.settings.… of its application.conf. The other
	// options win over what it says. Of its settings these are used:
	// email.subject, email.template.text, email.template.html,
	// email.expiration.time, page.html.template, page.html.feedback.template
	// and application.name. Default: none.
	Configuration string `json:"configuration,omitempty" usage:"configuration /etc/caddy/baasbox.json"`

	// EmailSubject is the subject of the mail. It is no template. Default:
	// email.subject in Configuration, or ours.
	EmailSubject string `json:"email_subject,omitempty" usage:"email_subject \"Reset your password\""`

	// EmailTemplateText is a file with the text of the mail, a template with
	// $link$ and, if it likes, $user_name$ and $token$. Default:
	// email.template.text in Configuration, or ours.
	EmailTemplateText string `json:"email_template_text,omitempty" usage:"email_template_text /etc/caddy/reset.txt"`

	// EmailTemplateHTML is a file with the same in HTML; it needs one with
	// text. Default: email.template.html in Configuration, or made from the
	// text.
	EmailTemplateHTML string `json:"email_template_html,omitempty" usage:"email_template_html /etc/caddy/reset.html"`

	// EmailExpirationTime is the life of the link, 1m to 24h. Default:
	// email.expiration.time in Configuration, or link_ttl of the site.
	EmailExpirationTime time.Duration `json:"email_expiration_time,omitempty" usage:"email_expiration_time 15m"`

	// PageHTMLTemplate is a file with the page for the new password, a template
	// in HTML with $user_name$, $link$, $error$, $password$, $repeat_password$,
	// $token$, $application_name$ and $form_template$. It needs
	// PageHTMLFeedbackTemplate. Default: page.html.template in Configuration,
	// or our pages. The two pages that BaasBox comes with count as none.
	PageHTMLTemplate string `json:"page_html_template,omitempty" usage:"page_html_template /etc/caddy/reset-form.html"`

	// PageHTMLFeedbackTemplate is a file with the page that says what became
	// of it, with $message$, $error$, $user_name$ and $application_name$. It
	// needs PageHTMLTemplate. Default: page.html.feedback.template in
	// Configuration, or our pages. The two pages that BaasBox comes with count
	// as none.
	PageHTMLFeedbackTemplate string `json:"page_html_feedback_template,omitempty" usage:"page_html_feedback_template /etc/caddy/reset-feedback.html"`

	// RevealAccounts gives the original errors for user names without an
	// account or an address, and while mail is down, to clients that have shown
	// the app code; it has to be configured. Default: every name gets the
	// answer of success.
	RevealAccounts bool `json:"reveal_accounts,omitempty" usage:"reveal_accounts"`

	// Origins are the origins whose pages may call, "*" for all. Default: *.
	Origins []string `json:"origins,omitempty" usage:"origins https://app.example.com"`

	// What Open makes of the options.
	name           string
	linkTTL        time.Duration
	wording        reset.Wording
	form, feedback *baasboxPage // nil: our own
	notes          []web.Note
}

func newBaasBox() web.Dialect { return &BaasBox{APIVersion: "0.9.5", Origins: []string{"*"}} }

// Check implements [web.Dialect].
func (b *BaasBox) Check() error {
	if err := web.CheckPath(b.Path); err != nil {
		return err
	}
	switch {
	case b.AppCode == "null" || strings.Trim(b.AppCode, " \t") != b.AppCode || !isBaasboxLine(b.AppCode):
		return errors.New("app_code: clients cannot send it; write it as in application.code of BaasBox, such as `app_code 1234567890`")
	case b.RevealAccounts && b.AppCode == "":
		return errors.New("reveal_accounts: it needs an `app_code`, as only clients that show it are told")
	case !isBaasboxLine(b.ApplicationName):
		return fmt.Errorf("application_name: one line of at most %d characters", maxBaasboxLine)
	case !isBaasboxLine(b.APIVersion):
		return fmt.Errorf("api_version: one line of at most %d characters", maxBaasboxLine)
	}
	if err := checkBaasboxSubject(b.EmailSubject); err != nil {
		return fmt.Errorf("email_subject: %w", err)
	}
	if err := checkBaasboxTTL(b.EmailExpirationTime); b.EmailExpirationTime != 0 && err != nil {
		return fmt.Errorf("email_expiration_time: %w", err)
	}
	return web.CheckOrigins(b.Origins)
}

// Open implements [web.Dialect].
func (b *BaasBox) Open() (web.Contract, error) {
	if err := b.load(); err != nil {
		return web.Contract{}, err
	}
	start := mount(b.Path) + "/user/{username}/password/reset"
	only := map[string]func(*web.Call){http.MethodOptions: b.options}
	endpoints := []web.Endpoint{
		{
			Path:    start,
			Methods: map[string]func(*web.Call){http.MethodGet: b.start, http.MethodOptions: b.options},
			Origins: b.Origins,
		},
		// No page of another site may send a new password.
		{
			Path: b.linkPath("{token}"),
			Methods: map[string]func(*web.Call){
				http.MethodGet: b.openLink, http.MethodHead: b.openLink, http.MethodPost: b.submit, http.MethodOptions: b.options,
			},
		},
		// What an app behind might take for one of these, a slash at the end
		// for one.
		{Path: start + "/{rest...}", Methods: only},
		{Path: b.linkPath("{rest...}"), Methods: only},
	}
	return web.Contract{Endpoints: endpoints, LinkPath: b.linkPath, Wording: b.wording, Notes: b.notes}, nil
}

func (b *BaasBox) linkPath(token string) string {
	return mount(b.Path) + "/user/password/reset/" + token
}

// start answers the request for a mail.
func (b *BaasBox) start(c *web.Call) {
	// The original has it on answers of this route, and no other.
	c.Header().Set("Access-Control-Allow-Headers", "X-Requested-With")
	code := baasboxCodeOf(c.Request())
	switch {
	case code == "":
		c.Note("app_code", "missing")
		b.refuse(c, http.StatusBadRequest, "Invalid App Code. AppCode is empty or not set")
		return
	case !among(code, []string{cmp.Or(b.AppCode, baasboxCode)}):
		c.Note("app_code", "wrong")
		b.refuse(c, http.StatusUnauthorized, "InvalidAppCodeException: Authentication info not valid or not provided: "+bounded(code)+" is an Invalid App Code")
		return
	}
	// What anybody knows is a credential only if the operator tells anybody.
	if b.RevealAccounts || b.AppCode != "" && b.AppCode != baasboxCode {
		c.Trust()
	}
	login := c.Param("username")
	found, err := c.Start(web.Start{Login: login, LinkTTL: b.linkTTL, Reveal: b.RevealAccounts})
	switch {
	case errors.Is(err, reset.ErrLogin):
		b.refuse(c, http.StatusBadRequest, "The 'username' field in the URL is not valid")
	case err != nil:
		c.RetryAfter(time.Second)
		b.refuse(c, http.StatusServiceUnavailable, "The request could not be stored. Please try again later")
	case found == reset.Nobody:
		b.refuse(c, http.StatusBadRequest, "Username "+login+" not found!")
	case found == reset.NoAddress:
		b.refuse(c, http.StatusBadRequest, `Cannot reset password, the "email" attribute is not defined into the user's private profile`)
	case found == reset.MailDown:
		b.refuse(c, http.StatusBadRequest, "PasswordRecoveryException: Cannot send mail to reset the password:  Could not reach the mail server. Please contact the server administrator")
	default:
		b.succeed(c)
	}
}

// options answers OPTIONS as the original does on any path: all is allowed, if
// not to all. That a page of another site may ask is no harm, as the handler
// refuses what it may not do.
func (b *BaasBox) options(c *web.Call) {
	const methods = "OPTIONS, GET, POST, PUT, DELETE"
	h := c.Header()
	h.Set("Allow", methods)
	if slices.Contains(b.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		if wanted := c.Request().Header.Get("Access-Control-Request-Headers"); isHeaderList(wanted) {
			h.Set("Access-Control-Allow-Headers", wanted)
		}
	}
	c.Answer(http.StatusOK, "", nil)
}

// baasboxCodeOf returns the app code that a client sends, "" if it sends none.
func baasboxCodeOf(r *http.Request) string {
	const name = "X-BAASBOX-APPCODE"
	code := r.Header.Get(name)
	if code == "" {
		query := r.URL.Query()
		if code = query.Get(name); !query.Has(name) {
			code = query.Get("appcode")
		}
	}
	if code == "null" { // of clients that were given none
		return ""
	}
	return code
}

// isHeaderList tells a list of names of headers that may be sent back.
func isHeaderList(s string) bool {
	return s != "" && len(s) <= maxBaasboxEcho && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != ',' && r != ' ' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// isBaasboxLine tells whether s fits one line of a page or of a header.
func isBaasboxLine(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxBaasboxLine &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

var _ web.Dialect = (*BaasBox)(nil)

package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A Mailbox is where the mails of the people in [Drive] come in. [Inbox] is
// one.
type Mailbox interface {
	// Mails returns what has come in, oldest first.
	Mails() []Mail
	// Wait returns the n-th mail to an address, counted from 1, and waits for
	// it until ctx ends.
	Wait(ctx context.Context, to string, n int) (Mail, error)
}

// DriveOptions are the options of [Drive].
type DriveOptions struct {
	// BaseURL is the address of the site with [App] behind it:
	// https://localhost:8443, without a path.
	BaseURL string
	// Path is where the surface for password resets is; by default
	// [ResetPath].
	Path string
	// Mailbox is where the mails come in.
	Mailbox Mailbox
	// Hashed says that the app is sent hashes (password_format), so that it
	// cannot refuse a password for what it is.
	Hashed bool
	// Client makes the connections, so that it can be told which certificates
	// to trust; by default a plain one. Its cookie jar is not used.
	Client *http.Client
	// Out gets a line for each step that held; by default nobody.
	Out io.Writer
	// Patience is how long a mail may take; by default 30 s.
	Patience time.Duration
}

// Drive walks the whole way through a site with [App] behind it, as people
// with browsers without scripts do: alice uses the link, bob the code, carol
// says that it was not her. It returns an error at the first step that does
// not hold, and nothing that it prints or returns holds a token, a code or a
// password.
//
// The accounts must have [InitialPassword] and must not have been mailed in
// the last minute, because one mail a minute is all that an account gets.
func Drive(ctx context.Context, o DriveOptions) error {
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	o.Path = cmp.Or(o.Path, ResetPath)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	if o.Out == nil {
		o.Out = io.Discard
	}
	d := &drive{DriveOptions: o}
	d.link(ctx)
	d.code(ctx)
	d.cancel(ctx)
	d.oldPage(ctx)
	return d.err
}

// drive is one walk. After the first step that did not hold, steps do nothing.
type drive struct {
	DriveOptions
	err error
}

// someone is a person with a browser and a mailbox.
type someone struct {
	*browser
	login string
	mails int // that have come in and been looked at
}

func (d *drive) step(name string, do func() error) {
	if d.err != nil {
		return
	}
	if err := do(); err != nil {
		d.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	_, d.err = fmt.Fprintf(d.Out, "ok  %s\n", name)
}

// link is the way of somebody who opens the link in the mail.
func (d *drive) link(ctx context.Context) {
	p := d.someone("alice")
	var mail Mail
	var link string
	d.ask(ctx, p)
	d.nobody(ctx, p)
	d.mail(ctx, p, &mail)
	d.step("alice opens the link twice and nothing happens", func() (err error) {
		if link, err = mail.Link(d.BaseURL + d.Path); err != nil {
			return err
		}
		for range 2 {
			if err := p.open(ctx, link); err != nil {
				return err
			}
		}
		return p.wantForm(http.StatusOK, d.Path+"/new")
	})
	d.refuses(ctx, p, "a common password", "passwordpassword", "passwordpassword", "")
	d.refuses(ctx, p, "one made of her login", "alice-alice-2026", "alice-alice-2026", "")
	d.refuses(ctx, p, "one that she typed in two ways", fresh(), fresh(), "")
	if !d.Hashed {
		d.refuses(ctx, p, "one that the app does not want, for the app's reason", "legacy "+fresh(), "", "old system cannot store")
	}
	d.accepts(ctx, p, link)
}

// code is the way of somebody who reads the mail on another device.
func (d *drive) code(ctx context.Context) {
	p := d.someone("bob")
	var mail Mail
	d.ask(ctx, p)
	d.mail(ctx, p, &mail)
	link, _ := mail.Link(d.BaseURL + d.Path) // seen to be there
	enter := func(code string) error {
		f, err := p.page.form(d.Path + "/code")
		if err != nil {
			return err
		}
		return p.submit(ctx, f, map[string]string{"login": p.login, "code": code})
	}
	d.step("the page where bob types the code knows his login", func() error {
		f, err := p.page.form(d.Path + "/code")
		if err != nil {
			return err
		}
		if login, _ := f.field("login"); login.value != p.login {
			return errors.New("the field is empty or has another login")
		}
		return nil
	})
	d.step("a wrong code is refused", func() error {
		code, err := mail.Code()
		if err != nil {
			return err
		}
		if err := enter(another(code)); err != nil {
			return err
		}
		return p.wantForm(http.StatusUnprocessableEntity, d.Path+"/code")
	})
	d.step("bob types the code from the mail", func() error {
		code, err := mail.Code()
		if err != nil {
			return err
		}
		if err := enter(code[:4] + " " + code[4:]); err != nil {
			return err
		}
		return p.wantForm(http.StatusOK, d.Path+"/new")
	})
	d.accepts(ctx, p, link)
}

// cancel is the way of somebody who has not asked.
func (d *drive) cancel(ctx context.Context) {
	p := d.someone("carol")
	var mail Mail
	var link string
	d.ask(ctx, p)
	d.mail(ctx, p, &mail)
	d.step("carol opens \"this wasn't me\" and the link still works", func() (err error) {
		if link, err = mail.Link(d.BaseURL + d.Path); err != nil {
			return err
		}
		cancel, err := mail.CancelLink(d.BaseURL + d.Path)
		if err != nil {
			return err
		}
		// Twice: had the first done anything, the link would not open.
		for _, at := range []struct{ address, form string }{
			{cancel, d.Path + "/cancel/"}, {link, d.Path + "/new"}, {cancel, d.Path + "/cancel/"},
		} {
			if err := p.open(ctx, at.address); err != nil {
				return err
			}
			if err := p.wantForm(http.StatusOK, at.form); err != nil {
				return err
			}
		}
		return nil
	})
	d.step("carol says that it was not her", func() error {
		f, err := p.page.form(d.Path + "/cancel/")
		if err != nil {
			return err
		}
		if err := p.submit(ctx, f, nil); err != nil {
			return err
		}
		return p.wantStatus(http.StatusOK)
	})
	d.dead(ctx, p, link)
	d.logsIn(ctx, p, "carol logs in with the password she always had", InitialPassword, http.StatusOK)
}

// oldPage is the way of somebody with a bookmark of the app's own page.
func (d *drive) oldPage(ctx context.Context) {
	p := d.someone("dave")
	arrived := func(err error) error {
		if err != nil {
			return err
		}
		return p.wantForm(http.StatusOK, d.Path)
	}
	d.step("the app's old reset page leads to ours", func() error {
		return arrived(p.open(ctx, d.BaseURL+ForgotPath))
	})
	d.step("and so does a form sent to it", func() error {
		action := *p.page.url
		action.Path, action.RawQuery = ForgotPath, ""
		f := form{action: &action, method: http.MethodPost, fields: []field{{name: "email", value: "alice@example.com"}}}
		return arrived(p.submit(ctx, f, nil))
	})
}

// fresh returns a password that nobody has had.
func fresh() string { return "cobalt walnut teacup " + rand.Text()[:10] }

// differences counts the words in which two texts differ, or all words if one
// of the texts is longer.
func differences(a, b string) int {
	as, bs := strings.Fields(a), strings.Fields(b)
	if len(as) != len(bs) {
		return max(len(as), len(bs))
	}
	n := 0
	for i := range as {
		if as[i] != bs[i] {
			n++
		}
	}
	return n
}

// another returns a code that is not this one.
func another(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b)
}

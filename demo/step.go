package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

func (d *drive) someone(login string) *someone {
	b, err := newBrowser(d.Client)
	if err != nil && d.err == nil {
		d.err = err
	}
	p := &someone{browser: b, login: login}
	for _, m := range d.Mailbox.Mails() {
		if m.To == p.address() {
			p.mails++
		}
	}
	return p
}

// ask goes from the app's login page to our form and asks for a mail.
func (d *drive) ask(ctx context.Context, p *someone) {
	d.step(p.login+" finds the form behind \"Forgot your password?\"", func() error {
		if err := p.open(ctx, d.BaseURL+LoginPath); err != nil {
			return err
		}
		forgot, err := p.page.link(d.Path)
		if err != nil {
			return err
		}
		if err := p.open(ctx, forgot); err != nil {
			return err
		}
		return p.wantForm(http.StatusOK, d.Path)
	})
	d.step(p.login+" asks for a mail", func() error {
		f, err := p.page.form(d.Path)
		if err != nil {
			return err
		}
		if err := p.submit(ctx, f, map[string]string{"login": p.login}); err != nil {
			return err
		}
		return p.wantForm(http.StatusOK, d.Path+"/code")
	})
}

// nobody asks for an account that does not exist, after p has asked for one
// that does. The answers may differ in what was typed and in one word, the
// reference.
func (d *drive) nobody(ctx context.Context, p *someone) {
	other := d.someone("mallory")
	d.ask(ctx, other)
	d.step("nobody can tell that there is no mallory", func() error {
		known := strings.ReplaceAll(p.page.text(), p.login, other.login)
		if n := differences(known, other.page.text()); n > 1 {
			return fmt.Errorf("the answers differ in %d words", n)
		}
		return nil
	})
}

func (d *drive) mail(ctx context.Context, p *someone, m *Mail) {
	d.step("the mail comes, with a link, a code and a way to say no", func() (err error) {
		if *m, err = d.next(ctx, p); err != nil {
			return err
		}
		_, err = m.Link(d.BaseURL + d.Path)
		_, codeErr := m.Code()
		_, cancelErr := m.CancelLink(d.BaseURL + d.Path)
		return errors.Join(err, codeErr, cancelErr)
	})
}

// refuses types a password that must not pass.
func (d *drive) refuses(ctx context.Context, p *someone, what, password, repeat, why string) {
	d.step(p.login+" is refused "+what, func() error {
		if err := d.choose(ctx, p, password, cmp.Or(repeat, password)); err != nil {
			return err
		}
		if !strings.Contains(p.page.text(), why) {
			return errors.New("the page does not say why")
		}
		return p.wantForm(http.StatusUnprocessableEntity, d.Path+"/new")
	})
}

// accepts types a password that must pass, and looks at what follows.
func (d *drive) accepts(ctx context.Context, p *someone, link string) {
	password := fresh()
	d.step(p.login+" chooses a new password", func() error {
		if err := d.choose(ctx, p, password, password); err != nil {
			return err
		}
		if err := p.wantStatus(http.StatusOK); err != nil {
			return err
		}
		if p.page.url.Path != d.Path+"/done" {
			return fmt.Errorf("the last page is %s", p.page.url.Path)
		}
		return nil
	})
	d.logsIn(ctx, p, "the app refuses the old password", InitialPassword, http.StatusUnauthorized)
	d.logsIn(ctx, p, p.login+" logs in to the app with the new one", password, http.StatusOK)
	d.dead(ctx, p, link)
	d.step("a mail says that the password was changed", func() error {
		m, err := d.next(ctx, p)
		if err != nil {
			return err
		}
		if _, err := m.Link(d.BaseURL + d.Path); err == nil {
			return errors.New("it holds a link to set a password")
		}
		if _, err := m.Code(); err == nil {
			return errors.New("it holds a code")
		}
		return nil
	})
}

func (d *drive) choose(ctx context.Context, p *someone, password, repeat string) error {
	f, err := p.page.form(d.Path + "/new")
	if err != nil {
		return err
	}
	return p.submit(ctx, f, map[string]string{"password": password, "password_repeat": repeat})
}

func (d *drive) dead(ctx context.Context, p *someone, link string) {
	d.step("the link is good for nothing any more", func() error {
		if err := p.open(ctx, link); err != nil {
			return err
		}
		if _, err := p.page.form(d.Path + "/new"); err == nil || p.page.status < 400 {
			return fmt.Errorf("it still opens the form (status %d)", p.page.status)
		}
		return nil
	})
}

// logsIn tries a password at the app, in a browser of its own.
func (d *drive) logsIn(ctx context.Context, p *someone, name, password string, want int) {
	d.step(name, func() error {
		b, err := newBrowser(d.Client)
		if err != nil {
			return err
		}
		if err := b.open(ctx, d.BaseURL+LoginPath); err != nil {
			return err
		}
		f, err := b.page.form(LoginPath)
		if err != nil {
			return err
		}
		if err := b.submit(ctx, f, map[string]string{"login": p.login, "password": password}); err != nil {
			return err
		}
		return b.wantStatus(want)
	})
}

// next waits for the next mail to somebody.
func (d *drive) next(ctx context.Context, p *someone) (Mail, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	m, err := d.Mailbox.Wait(ctx, p.address(), p.mails+1)
	if err == nil {
		p.mails++
	}
	return m, err
}

func (p *someone) address() string { return p.login + "@example.com" }

func (b *browser) wantStatus(status int) error {
	if b.page.status != status {
		return fmt.Errorf("status %d instead of %d, title %q", b.page.status, status, b.page.title())
	}
	return nil
}

func (b *browser) wantForm(status int, path string) error {
	if err := b.wantStatus(status); err != nil {
		return err
	}
	_, err := b.page.form(path)
	return err
}

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// expand replaces the placeholders of all settings that hold no secret. The
// receiver is a copy: what the admin API shows stays as it was written.
func (h *Handler) expand() error {
	// First, and known even if others are not: errors name the site by them.
	if err := expandAll(map[string]*string{"id": &h.ID, "base_url": &h.BaseURL}); err != nil {
		return err
	}
	settings := map[string]*string{
		"path":            &h.Path,
		"login_url":       &h.LoginURL,
		"name":            &h.Name,
		"from":            &h.From,
		"reply_to":        &h.ReplyTo,
		"change_password": &h.ChangePassword,
		"default_locale":  &h.DefaultLocale,
		"templates":       &h.Templates,
	}
	h.TakeOver = append([]string(nil), h.TakeOver...)
	for i := range h.TakeOver {
		settings[fmt.Sprintf("take_over number %d", i+1)] = &h.TakeOver[i]
	}
	if h.Password != nil {
		p := *h.Password
		h.Password = &p
		settings["blocklist"] = &p.Blocklist
	}
	return expandAll(settings)
}

// policy reads the rules for a new password.
func (h *Handler) policy(maxBytes int, name, host string) (*passwords.Policy, error) {
	o := passwords.Options{MaxBytes: maxBytes, Site: []string{name, host}}
	if h.Password != nil {
		o.MinLength, o.MaxLength = h.Password.MinLength, h.Password.MaxLength
		if h.Password.Blocklist != "" {
			file, err := os.Open(h.Password.Blocklist)
			if err != nil {
				return nil, fmt.Errorf("blocklist: %w", err)
			}
			defer file.Close()
			if o.Blocklist, err = passwords.LoadBlocklist(file); err != nil {
				return nil, fmt.Errorf("blocklist %s: %w", h.Password.Blocklist, err)
			}
		}
	}
	policy, err := passwords.New(o)
	if err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	return policy, nil
}

// limits fills in how often people may ask.
func (h *Handler) limits(c *reset.SiteConfig) error {
	l := cmp.Or(h.Limits, new(Limits))
	c.PerAccount, c.PerIP = reset.DefaultPerAccount(), reset.DefaultPerIP()
	if l.PerAccount != "" {
		windows, err := parseWindows(l.PerAccount)
		if err != nil {
			return fmt.Errorf("per_account: %w", err)
		}
		c.PerAccount = windows
	}
	if l.PerIP != "" {
		windows, err := parseWindow(l.PerIP)
		if err != nil {
			return fmt.Errorf("per_ip: %w", err)
		}
		c.PerIP = reset.Window{}
		for _, w := range windows {
			c.PerIP = w
		}
	}
	return nil
}

// templates opens the operator's folder, with the templates of pages and
// letters. A misspelt name is refused: it would silently change nothing. Other
// files may lie there, and hidden ones, which editors and mounts leave.
func (h *Handler) templates() (fs.FS, error) {
	if h.Templates == "" {
		return nil, nil
	}
	info, err := os.Stat(h.Templates)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("templates: %s is not a folder", h.Templates)
	}
	entries, err := os.ReadDir(h.Templates)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	known := append(web.TemplateNames(), letters.TemplateNames()...)
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".html", ".txt", ".css", ".js":
			if !slices.Contains(known, e.Name()) && !strings.HasPrefix(e.Name(), ".") {
				return nil, fmt.Errorf("templates: %s in %s is neither a page nor a letter; there are: %s",
					e.Name(), h.Templates, strings.Join(known, ", "))
			}
		}
	}
	return os.DirFS(h.Templates), nil
}

// checkID keeps an id fit for logs and messages.
func checkID(id string) error {
	if len(id) > 255 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("id: at most 255 bytes without spaces and controls are taken")
	}
	return nil
}

func checkTTLs(link, code time.Duration) error {
	if err := checkSpan("link_ttl", link, reset.MaxLinkTTL); err != nil {
		return err
	}
	if code > link {
		return fmt.Errorf("code_ttl: %s is longer than link_ttl, which is %s", short(code), short(link))
	}
	return checkSpan("code_ttl", code, link)
}

// checkSpan refuses a span that is too long, or below zero, as JSON can hold it.
func checkSpan(name string, d, most time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("%s: %s is below zero", name, short(d))
	case d > most:
		return fmt.Errorf("%s: %s is more than %s", name, short(d), short(most))
	}
	return nil
}

// short writes 48h and not 48h0m0s, as an operator does.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package smtpout_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

func TestAuth(t *testing.T) {
	ca := newAuthority(t)
	for _, tt := range []struct {
		name, mechanism string
		offered         []string
		want            string
	}{
		{"plain preferred", "", []string{"LOGIN", "XOAUTH2", "PLAIN"}, "PLAIN"},
		{"login if there is no plain", "", []string{"XOAUTH2", "LOGIN"}, "LOGIN"},
		{"login named", "login", []string{"PLAIN", "LOGIN"}, "LOGIN"},
		{"xoauth2", "xoauth2", []string{"PLAIN", "XOAUTH2"}, "XOAUTH2"},
		{"oauthbearer", "oauthbearer", []string{"PLAIN", "OAUTHBEARER"}, "OAUTHBEARER"},
		{"tokens are never guessed", "", []string{"XOAUTH2", "OAUTHBEARER"}, ""},
		{"named one is absent", "plain", []string{"LOGIN"}, ""},
		{"none", "", nil, ""},
	} {
		for _, mode := range []string{"starttls", "implicit"} {
			t.Run(tt.name+", "+mode, func(t *testing.T) {
				r := newRelay(t, relayOptions{tls: ca.issue(t, nil), implicit: mode == "implicit", mechanisms: tt.offered})
				used := ""
				check := r.login
				r.login = func(m, u, s string) error { used = m; return check(m, u, s) }
				c := newClient(t, smtpout.Options{
					Address: r.address, TLS: mode, TrustedCA: ca.file, User: user, Mechanism: tt.mechanism,
					Secret: func() (string, error) { return secret + "\n", nil },
				})
				d := c.Send(t.Context(), message())
				if tt.want == "" && (d.Status != reset.Misconfigured || len(r.got()) > 0) {
					t.Fatalf("%+v, relay got %d", d, len(r.got()))
				}
				if tt.want != "" && (d.Status != reset.Sent || used != tt.want) {
					t.Fatalf("%+v with %q, want %q", d, used, tt.want)
				}
				for _, s := range []string{secret, user, "SECRETTOKEN", base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(user))} {
					if strings.Contains(r.sent(), s) {
						t.Errorf("%q crossed in clear", s)
					}
				}
			})
		}
	}
}

func TestAuthRefused(t *testing.T) {
	ca := newAuthority(t)
	for _, mechanism := range []string{"plain", "login", "xoauth2", "oauthbearer"} {
		t.Run(mechanism, func(t *testing.T) {
			r := newRelay(t, relayOptions{tls: ca.issue(t, nil), mechanisms: []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}})
			c := newClient(t, smtpout.Options{
				Address: r.address, TLS: "starttls", TrustedCA: ca.file, User: user, Mechanism: mechanism,
				Secret: func() (string, error) { return "wrongsecret", nil },
			})
			d := c.Send(t.Context(), message())
			if d.Status != reset.Misconfigured || !strings.HasPrefix(d.Err.Error(), "smtp: AUTH: ") {
				t.Errorf("%+v", d)
			}
			if strings.Contains(d.Err.Error(), "wrongsecret") || len(r.got()) > 0 || c.Idle() != 0 {
				t.Errorf("error %v, got %d, idle %d", d.Err, len(r.got()), c.Idle())
			}
			if mechanism != "oauthbearer" && !strings.Contains(d.Err.Error(), "answer 5") {
				t.Errorf("no code in %v", d.Err)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	ca := newAuthority(t)
	r := newRelay(t, relayOptions{tls: ca.issue(t, nil), mechanisms: []string{"PLAIN"}})
	calls := 0
	now, failing := "old", error(nil)
	c := newClient(t, smtpout.Options{
		Address: r.address, TLS: "starttls", TrustedCA: ca.file, User: user,
		Secret: func() (string, error) { calls++; return now, failing },
	})
	if d := c.Send(t.Context(), message()); d.Status != reset.Misconfigured {
		t.Errorf("old secret: %+v", d)
	}
	now = secret
	for range 2 {
		if d := c.Send(t.Context(), message()); d.Status != reset.Sent {
			t.Errorf("new secret: %+v", d)
		}
	}
	if calls != 2 {
		t.Errorf("secret was read %d times, want once for each connection", calls)
	}
	c.Close()
	for _, tt := range []struct {
		secret string
		err    error
	}{{"", nil}, {"a\x00b", nil}, {"a\nb", nil}, {"x", errors.New("reading hunter2")}} {
		now, failing = tt.secret, tt.err
		c := newClient(t, smtpout.Options{
			Address: r.address, TLS: "starttls", TrustedCA: ca.file, User: user,
			Secret: func() (string, error) { return now, failing },
		})
		d := c.Send(t.Context(), message())
		if d.Status != reset.Misconfigured || !strings.Contains(d.Err.Error(), "secret") || strings.Contains(d.Err.Error(), "hunter2") {
			t.Errorf("%q: %+v", tt.secret, d)
		}
	}
}

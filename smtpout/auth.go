package smtpout

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The mechanisms, as an operator writes them.
const (
	plain       = "plain"
	login       = "login"
	xoauth2     = "xoauth2"
	oauthbearer = "oauthbearer"
)

// authenticate logs in, if there is a user to log in. New has made sure that
// there is TLS then.
func (c *Client) authenticate(ctx context.Context, s *session) *failure {
	if c.user == "" {
		return nil
	}
	if s.stream == net.Conn(s.conn) {
		return misconfigured(stageAuth, "login needs TLS")
	}
	mechanism := c.choose(s.client)
	if mechanism == "" {
		return misconfigured(stageAuth, causeNoMechanism)
	}
	secret, err := c.secret()
	if err != nil {
		return misconfigured(stageAuth, causeNoSecret) // the cause may quote it
	}
	// Editors end a file with a newline.
	secret = strings.TrimRight(secret, "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\x00\x01\r\n") {
		return misconfigured(stageAuth, causeOddSecret)
	}
	if err := s.client.Auth(c.mechanismClient(mechanism, secret)); err != nil {
		var refused *smtp.SMTPError
		var broken net.Error
		if errors.As(err, &refused) || errors.As(err, &broken) || transport(err) {
			return fail(ctx, stageAuth, err)
		}
		return misconfigured(stageAuth, "relay does not follow the mechanism, or refuses the token")
	}
	return nil
}

// choose returns the mechanism to use with this relay, or "". Tokens are never
// tried as passwords nor passwords as tokens, so only plain and login are
// chosen without being named.
func (c *Client) choose(client *smtp.Client) string {
	candidates := []string{plain, login}
	if c.mechanism != "" {
		candidates = []string{c.mechanism}
	}
	for _, m := range candidates {
		if client.SupportsAuth(asciiUpper(m)) {
			return m
		}
	}
	return ""
}

func (c *Client) mechanismClient(mechanism, secret string) sasl.Client {
	switch mechanism {
	case login:
		return &loginClient{user: c.user, secret: secret}
	case xoauth2:
		return &xoauth2Client{user: c.user, token: secret}
	case oauthbearer:
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: c.user, Token: secret})
	}
	return sasl.NewPlainClient("", c.user, secret)
}

// A loginClient answers the first question with the user and the second with
// the password, whatever the questions are: relays word them differently, and
// the library's client knows one wording only.
type loginClient struct {
	user, secret string
	step         int
}

func (l *loginClient) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (l *loginClient) Next([]byte) ([]byte, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte(l.user), nil
	case 2:
		return []byte(l.secret), nil
	}
	return nil, sasl.ErrUnexpectedServerChallenge
}

// An xoauth2Client is the mechanism that Google and Microsoft use. After a
// refusal they ask once more, with a cause in JSON; the empty answer to it
// brings the 535.
type xoauth2Client struct {
	user, token string
}

func (x *xoauth2Client) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

func (x *xoauth2Client) Next([]byte) ([]byte, error) { return []byte{}, nil }

var (
	_ sasl.Client = (*loginClient)(nil)
	_ sasl.Client = (*xoauth2Client)(nil)
)

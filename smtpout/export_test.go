package smtpout

import (
	"context"
	"net"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// SetTimeouts makes the bounds short enough for a test.
func (c *Client) SetTimeouts(command, idle time.Duration) {
	if command > 0 {
		c.commandTimeout = command
	}
	if idle > 0 {
		c.idleTimeout = idle
	}
}

// Idle returns how many connections are kept.
func (c *Client) Idle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

const MaxMessages = maxMessages

// Converse makes one attempt over a connection that is there already. Where
// there is a user to log in, it is taken for one that TLS protects.
func (c *Client) Converse(ctx context.Context, raw net.Conn, m reset.Message) reset.Delivery {
	e, err := seal(m)
	if err != nil {
		return err.delivery()
	}
	s := newSession(newConn(raw, c.commandTimeout))
	if c.user != "" {
		s.over(struct{ net.Conn }{s.conn})
	}
	end := s.begin(ctx)
	err = c.establish(ctx, s)
	end()
	if err != nil {
		s.close()
		return err.delivery()
	}
	d, _ := c.use(ctx, s, e)
	return d
}

// LogIn makes a client log in where it otherwise would not without TLS.
func (c *Client) LogIn(user, secret, mechanism string) {
	c.user, c.mechanism = user, mechanism
	c.secret = func() (string, error) { return secret, nil }
}

// Unconnected says what Probe says of an error of dialling, or, without one, of
// a relay elsewhere that TLS is off for.
func (c *Client) Unconnected(ctx context.Context, err error) (problem, cure string) {
	f := misconfigured(stageConnect, causeElsewhere)
	if err != nil {
		f = fail(ctx, stageConnect, &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	return c.diagnose(f.step(), f, nil)
}

package smtpout

import "time"

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

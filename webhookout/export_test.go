package webhookout

// Diagnose says what Ping says of an error of the transport.
func (c *Client) Diagnose(err error) (problem, cure string) { return c.diagnose(cause(err)) }

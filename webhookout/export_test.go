package webhookout

// Unreached says what Ping says of an error of the transport.
func (c *Client) Unreached(err error) (problem, cure string) { return c.unreached(cause(err)) }

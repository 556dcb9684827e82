package smtpout

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"time"
)

// maxRead bounds what a relay may send while a connection is made, handshake
// included, and again for each message. An answer may have any number of lines; a
// flood of them would fill the memory.
const maxRead = 64 << 10

var errFlood = errors.New("too much data")

// errEarly is an answer to nothing. It must not be taken for the one to what is
// asked next; before TLS, anybody on the way may have put it there.
var errEarly = errors.New("answer before the question")

// A conn is a connection below TLS that keeps within the bounds of an attempt,
// whatever the library above it sets: it forgets deadlines after each command.
type conn struct {
	net.Conn
	commandTimeout time.Duration
	deadline       time.Time // of the attempt
	left           int       // bytes that may still be read in it
}

func newConn(raw net.Conn, commandTimeout time.Duration) *conn {
	return &conn{Conn: raw, commandTimeout: commandTimeout}
}

// begin starts an attempt.
func (c *conn) begin(deadline time.Time) {
	c.deadline, c.left = deadline, maxRead
	c.Conn.SetDeadline(deadline)
}

// expect bounds the next answer.
func (c *conn) expect() { c.SetReadDeadline(time.Now().Add(c.commandTimeout)) }

func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errFlood
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	// A relay that stops reading would hold the attempt to its end.
	c.SetWriteDeadline(time.Now().Add(c.commandTimeout))
	return c.Conn.Write(p)
}

func (c *conn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.bound(t)) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.bound(t)) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.bound(t)) }

func (c *conn) bound(t time.Time) time.Time {
	if t.IsZero() || t.After(c.deadline) {
		return c.deadline
	}
	return t
}

// A lineConn is a connection above TLS, for the library and for us in turns. The
// library keeps to itself what it reads ahead, so each Read is a line at most:
// what comes behind the answer that it waits for stays in in.
type lineConn struct {
	net.Conn
	in *bufio.Reader
}

func (c *lineConn) Read(p []byte) (int, error) {
	if _, err := c.in.Peek(1); err != nil {
		return 0, err
	}
	line, _ := c.in.Peek(min(len(p), c.in.Buffered()))
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		p = p[:end+1]
	}
	return c.in.Read(p)
}

// Write says nothing while there is an answer that nobody asked for.
func (c *lineConn) Write(p []byte) (int, error) {
	if c.in.Buffered() > 0 {
		return 0, errEarly
	}
	return c.Conn.Write(p)
}

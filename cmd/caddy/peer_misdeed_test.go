package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// A misdeed is what a relay does in the place of an answer. It reports whether
// the conversation goes on.
type misdeed func(d *dialogue) (goOn bool)

func saying(text string) misdeed { return func(d *dialogue) bool { return d.say(text) } }

// code answers with a number, and quotes the recipient as relays do.
func code(n int, enhanced string) misdeed {
	return func(d *dialogue) bool { return d.say(fmt.Sprintf("%d %s <%s> "+foreignText, n, enhanced, d.to)) }
}

// hang answers nothing until the program hangs up.
func hang(d *dialogue) bool {
	_, _ = io.Copy(io.Discard, d.in)
	return false
}

func gone(*dialogue) bool { return false }

// broken ends the connection with a RST.
func broken(d *dialogue) bool {
	if c, ok := d.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	return false
}

// halfClosed says no more, and goes on listening.
func halfClosed(d *dialogue) bool {
	_ = d.Conn.(*net.TCPConn).CloseWrite()
	return hang(d)
}

// gushing sends without end.
func gushing(text string) misdeed {
	return func(d *dialogue) bool {
		block := []byte(strings.Repeat(text, 1+64<<10/len(text)))
		for {
			if _, err := d.Write(block); err != nil {
				return false
			}
		}
	}
}

// dripping sends a byte at a time, without end.
func dripping(d *dialogue) bool {
	for {
		if _, err := io.WriteString(d.Conn, "2"); err != nil {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// delaying waits for a share of what one command may take, or until the program
// hangs up: how long it stayed is measured.
func delaying(share float64) misdeed {
	return func(d *dialogue) bool {
		wait := time.Duration(share * float64(d.relay.w.Pace.command))
		_ = d.SetReadDeadline(time.Now().Add(wait))
		_, err := d.in.Peek(1) // it says nothing before it has its answer
		_ = d.SetReadDeadline(time.Time{})
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
}

// leaving takes some bytes of what comes, and goes.
func leaving(d *dialogue) bool {
	d.relay.mu.Lock()
	n := 1 + d.relay.rand.Int64N(2000)
	d.relay.mu.Unlock()
	_, _ = io.CopyN(io.Discard, d.in, n)
	return broken(d)
}

// deaf reads nothing more until the program hangs up, which a write shows.
func deaf(d *dialogue) bool {
	for {
		time.Sleep(20 * time.Millisecond)
		if _, err := io.WriteString(d.Conn, " "); err != nil {
			return false
		}
	}
}

// offering goes over to TLS with another configuration.
func offering(c *tls.Config) misdeed { return func(d *dialogue) bool { return d.handshake(c) } }

// injecting answers STARTTLS together with what the library would take for the
// first answer inside TLS (CVE-2011-0411).
func injecting(d *dialogue) bool {
	return d.say("220 go\n250 AUTH PLAIN") && d.protect()
}

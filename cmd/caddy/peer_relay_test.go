package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net"
	"net/smtp"
	"strings"
)

// A stage is where a relay has to answer.
type stage string

const (
	atGreeting  stage = "greeting"
	atHello     stage = "EHLO"
	atStartTLS  stage = "STARTTLS"
	atHandshake stage = "TLS handshake"
	atAuth      stage = "AUTH"
	atMail      stage = "MAIL"
	atRcpt      stage = "RCPT"
	atData      stage = "DATA"
	atText      stage = "text" // of the message
	atDot       stage = "end of message"
	atAll       stage = "all stages"
)

// quoted by every relay and app that misbehaves: whatever they say is not ours
// to log.
const foreignText = "FOREIGN-TEXT"

// A relay is a mail server that misbehaves at one stage, until it is mended.
// What it takes it hands on to the inbox of its world.
type relay struct {
	peer
	Address string

	w        *peerWorld
	row      relayRow
	good     *tls.Config
	implicit bool

	rand  *rand.Rand   // under mu
	clear bytes.Buffer // what came without TLS, under mu
}

// newRelay returns one that listens until the end of the test.
func (w *peerWorld) newRelay(row relayRow, good *tls.Config, chance *rand.Rand) *relay {
	w.t.Helper()
	r := &relay{w: w, row: row, good: good, implicit: row.tls == "implicit", rand: chance}
	// A name and not an address: the certificate is for it.
	r.Address = "localhost:" + r.listen(w.t, func(c net.Conn) {
		r.converse(&dialogue{Conn: c, relay: r, in: bufio.NewReader(io.TeeReader(c, (*clearText)(r)))})
	})
	return r
}

// clearText collects what came without TLS.
type clearText relay

func (c *clearText) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clear.Write(p)
}

// overheard returns the first of some words that crossed without TLS.
func (r *relay) overheard(words ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, word := range words {
		if bytes.Contains(r.clear.Bytes(), []byte(word)) {
			return word
		}
	}
	return ""
}

// A dialogue is one connection of a relay.
type dialogue struct {
	net.Conn // in clear, or the TLS on it
	relay    *relay
	in       *bufio.Reader
	secure   bool
	to       string
}

// misdeed says whether the relay is to misbehave at a stage.
func (d *dialogue) misdeed(at stage) misdeed {
	d.relay.mu.Lock()
	defer d.relay.mu.Unlock()
	if row := d.relay.row; !d.relay.mended && row.do != nil && (row.at == at || row.at == atAll) {
		return row.do
	}
	return nil
}

// converse is a whole conversation, as far as it comes.
func (r *relay) converse(d *dialogue) {
	if r.implicit && !d.protect() {
		return
	}
	if goOn, _ := d.answer(atGreeting, "220 relay ESMTP"); !goOn {
		return
	}
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return
		}
		goOn, usual := true, true
		switch verb := strings.ToUpper(line[:min(len(line), 4)]); verb {
		case "EHLO":
			goOn, _ = d.answer(atHello, d.extensions())
		case "STAR":
			if goOn, usual = d.answer(atStartTLS, "220 go"); goOn && usual {
				goOn = d.protect()
			}
		case "AUTH":
			goOn, _ = d.answer(atAuth, d.login(line))
		case "MAIL":
			goOn, _ = d.answer(atMail, "250 2.1.0 ok")
		case "RCPT":
			_, to, _ := strings.Cut(line, "<")
			d.to, _, _ = strings.Cut(to, ">")
			goOn, _ = d.answer(atRcpt, "250 2.1.5 ok")
		case "DATA":
			if goOn, usual = d.answer(atData, "354 go"); goOn && usual {
				goOn = d.take()
			}
		case "QUIT":
			_ = d.say("221 bye")
			return
		default:
			goOn = d.say("250 ok")
		}
		if !goOn {
			return
		}
	}
}

// extensions is the answer to EHLO.
func (d *dialogue) extensions() string {
	switch {
	case d.secure:
		return "250-relay\n250-SIZE 10000000\n250-AUTH PLAIN LOGIN\n250 8BITMIME"
	case d.relay.row.tls == "":
		return "250-relay\n250-SIZE 10000000\n250 8BITMIME"
	}
	return "250-relay\n250-SIZE 10000000\n250 STARTTLS"
}

// login judges AUTH PLAIN with its initial response (RFC 4616).
func (d *dialogue) login(line string) string {
	fields := strings.Fields(line)
	if response, err := base64.StdEncoding.DecodeString(fields[len(fields)-1]); err != nil || string(response) != "\x00"+d.relay.w.SMTPUser+"\x00"+d.relay.w.SMTPPass {
		return "535 5.7.8 no"
	}
	return "235 2.7.0 ok"
}

// protect goes over to TLS.
func (d *dialogue) protect() bool {
	if do := d.misdeed(atHandshake); do != nil {
		return do(d)
	}
	return d.handshake(d.relay.good)
}

func (d *dialogue) handshake(c *tls.Config) bool {
	t := tls.Server(d.Conn, c)
	if t.Handshake() != nil {
		return false
	}
	d.Conn, d.in, d.secure = t, bufio.NewReader(t), true
	return true
}

// take reads a message and hands it to the inbox, if the relay answers that it
// has taken it, or has and says something else.
func (d *dialogue) take() bool {
	if do := d.misdeed(atText); do != nil {
		return do(d)
	}
	var message bytes.Buffer
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		message.WriteString(strings.TrimPrefix(line, "."))
	}
	do := d.misdeed(atDot)
	if do == nil || d.relay.row.keeps {
		if err := smtp.SendMail(d.relay.w.Inbox.Addr(), nil, "support@example.com", []string{d.to}, message.Bytes()); err != nil {
			d.relay.w.t.Errorf("handing a mail to the inbox: %v", err)
			return false
		}
	}
	goOn, _ := d.answer(atDot, "250 2.0.0 taken")
	return goOn
}

// answer says what is usual at a stage, or misbehaves.
func (d *dialogue) answer(at stage, text string) (goOn, usual bool) {
	do := d.misdeed(at)
	if do == nil {
		return d.say(text), true
	}
	if d.relay.row.slow {
		// The usual answer, after whatever it does.
		return do(d) && d.say(text), true
	}
	return do(d), false
}

// say sends lines, now and then in pieces.
func (d *dialogue) say(text string) bool {
	rest := strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	for rest != "" {
		d.relay.mu.Lock()
		n := 1 + d.relay.rand.IntN(2*len(rest))
		d.relay.mu.Unlock()
		piece := rest[:min(n, len(rest))]
		if _, err := io.WriteString(d.Conn, piece); err != nil {
			return false
		}
		rest = rest[len(piece):]
	}
	return true
}

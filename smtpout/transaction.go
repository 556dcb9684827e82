package smtpout

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
)

// maxReceipt is enough for a queue id, and for a page of an operator's screen
// to stay one however much a relay says.
const maxReceipt = 80

// deliver sends one message. No failure means that the relay has taken it, and
// said is what it answered to the whole.
func (s *session) deliver(ctx context.Context, e envelope) (said string, err *failure) {
	s.messages++
	if e.utf8 && !s.offers("SMTPUTF8") {
		return "", rejected("recipient address needs SMTPUTF8, which the relay does not offer")
	}
	if limit, ok := s.client.MaxMessageSize(); ok && limit > 0 && len(e.data) > limit {
		return "", misconfigured(stageData, "message is larger than the relay takes")
	}
	if err := s.announce(ctx, e); err != nil {
		return "", err
	}
	return s.submit(ctx, e.data)
}

// announce says from whom and to whom a message is, until the relay waits for
// its text. Where the relay offers it, all of that goes at once (RFC 2920): a
// mail then takes two round trips and not four.
func (s *session) announce(ctx context.Context, e envelope) *failure {
	commands := []struct {
		stage stage
		line  string
		code  int
	}{
		{stageMail, s.mail(e), 250},
		{stageRecipient, "RCPT TO:<" + e.to + ">", 25},
		{stageData, "DATA", 354},
	}
	together := 1
	if s.offers("PIPELINING") {
		together = len(commands)
	}
	for group := range slices.Chunk(commands, together) {
		for _, c := range group {
			s.put(c.line)
		}
		if err := s.out.Flush(); err != nil {
			return fail(ctx, group[0].stage, err)
		}
		// The first refusal decides. What is said to the commands behind it is
		// heard, and changes nothing.
		var refused *failure
		var last error
		for _, c := range group {
			if _, last = s.hear(c.code); last == nil {
				continue
			}
			f := fail(ctx, c.stage, last)
			if refused == nil {
				refused = f
			}
			if f.code == 0 {
				break // nothing more will come
			}
		}
		if refused == nil {
			continue
		}
		if _, _, ok := answer(last); !ok {
			// The relay waits for a text all the same (RFC 2920 section 3.1), or
			// may. The dot alone would hand it an empty message, and a QUIT would be
			// its text: only a connection that ends is surely no message.
			s.close()
		}
		return refused
	}
	return nil
}

func (s *session) mail(e envelope) string {
	line := "MAIL FROM:<" + e.from + ">"
	if s.offers("8BITMIME") {
		line += " BODY=8BITMIME"
	}
	if s.offers("SIZE") && len(e.data) > 0 {
		line += " SIZE=" + strconv.Itoa(len(e.data))
	}
	if e.utf8 {
		line += " SMTPUTF8"
	}
	return line
}

// submit writes the text and waits for what the relay says to the whole.
func (s *session) submit(ctx context.Context, data []byte) (said string, err *failure) {
	// An answer that is there already is none to this message.
	if !s.quiet() {
		return "", fail(ctx, stageData, errEarly)
	}
	for line := range bytes.Lines(data) {
		if line[0] == '.' {
			_ = s.out.WriteByte('.') // or the line would end the text (RFC 5321 section 4.5.2)
		}
		if _, err := s.out.Write(line); err != nil {
			return "", fail(ctx, stageData, err) // without the dot it is no message
		}
	}
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		s.put("")
	}
	s.put(".")
	if err := s.out.Flush(); err != nil {
		return "", fail(ctx, stageEnd, err)
	}
	// The answer may take the rest of the attempt.
	s.conn.SetReadDeadline(s.conn.deadline)
	_, said, broken := s.in.ReadResponse(250)
	if broken != nil {
		return "", fail(ctx, stageEnd, broken)
	}
	return said, nil
}

// receipt returns what the relay said to a mail that it took, fit to be shown
// to an operator: a line of printable ASCII, lest it steers a terminal. There
// is none if it tells who got the mail, in part or whole.
func receipt(said string, e envelope) string {
	// Some relays quote the recipient without its domain, or with the "@" in
	// another spelling.
	local, _, _ := strings.Cut(e.to, "@")
	if strings.Contains(said, "@") || strings.Contains(asciiUpper(said), asciiUpper(local)) {
		return ""
	}
	var line strings.Builder
	line.WriteString("250")
	for _, word := range strings.Fields(said) {
		line.WriteByte(' ')
		for _, r := range word {
			if r < '!' || r > '~' {
				r = '?'
			}
			line.WriteByte(byte(r))
		}
	}
	text := line.String()
	return strings.TrimRight(text[:min(len(text), maxReceipt)], " ")
}

func (s *session) offers(extension string) bool {
	ok, _ := s.client.Extension(extension)
	return ok
}

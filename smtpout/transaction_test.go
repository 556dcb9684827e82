package smtpout_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

var (
	offering = []move{say("220 relay"), hear, say("250-relay\n250-PIPELINING\n250 SIZE 100000")}
	group    = after(offering, hear, hear, hear)
)

// alone reads one command, behind which nothing may stand.
func alone(_ net.Conn, r *bufio.Reader) bool {
	_, err := r.ReadString('\n')
	return err == nil && r.Buffered() == 0
}

// bye closes the connection.
func bye(c net.Conn, _ *bufio.Reader) bool { return c.Close() == nil }

// toTheEnd hears what comes until the connection ends.
func toTheEnd(ended chan<- struct{}) move {
	return func(_ net.Conn, r *bufio.Reader) bool {
		_, _ = io.Copy(io.Discard, r)
		ended <- struct{}{}
		return false
	}
}

// secured goes on under TLS.
func secured(cfg *tls.Config, moves ...move) move {
	return func(c net.Conn, _ *bufio.Reader) bool {
		t := tls.Server(c, cfg)
		r := bufio.NewReader(t)
		for _, m := range moves {
			if !m(t, r) {
				return false
			}
		}
		return true
	}
}

// TestPipelining holds that a relay which offers it gets all commands before it
// answers any, and that another gets one at a time.
func TestPipelining(t *testing.T) {
	ca := newAuthority(t)
	cfg := ca.issue(t, nil)
	bare := []move{say("220 relay"), hear, say("250-relay\n250 STARTTLS"), hear, say("220 go")}
	offered := []move{say("220 relay"), hear, say("250-relay\n250-PIPELINING\n250 STARTTLS"), hear, say("220 go")}
	together := []move{hear, hear, hear, say("250 ok\n250 ok\n354 go"), take, say("250 queued")}
	apart := []move{alone, say("250 ok"), alone, say("250 ok"), alone, say("354 go"), take, say("250 queued")}
	for _, tt := range []struct {
		name  string
		tls   string
		moves []move
	}{
		{"offered", "", after(offering, together...)},
		{"offered with a space behind it", "", after([]move{say("220 x"), hear, say("250-x\n250-PIPELINING \n250 HELP")}, together...)},
		{"offered in letters that the library does not know", "", after([]move{say("220 x"), hear, say("250-x\n250-Pipelining\n250 HELP")}, apart...)},
		{"offered, answered one by one", "", after(offering, hear, say("250 ok"), hear, say("250 ok"), hear, say("354 go"), take, say("250 queued"))},
		{"not offered", "", after(hello, apart...)},
		{"named like the relay", "", after([]move{say("220 x"), hear, say("250-PIPELINING\n250 HELP")}, apart...)},
		{"no EHLO", "", after([]move{say("220 x"), hear, say("502 5.5.1 what"), hear, say("250-x\n250 PIPELINING")}, apart...)},
		{"offered under TLS", "starttls", after(bare, secured(cfg, append(offering[1:len(offering):len(offering)], together...)...))},
		{"offered before TLS, no EHLO under it", "starttls", after(offered, secured(cfg, append([]move{hear, say("502 5.5.1 what"), hear, say("250 x")}, apart...)...))},
		{"offered before TLS only", "starttls", after(offered, secured(cfg, append(hello[1:len(hello):len(hello)], apart...)...))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := script(t, tt.moves...)
			o := smtpout.Options{Address: address, TLS: tt.tls}
			if tt.tls != "" {
				o.TrustedCA = ca.file
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			check(t, newClient(t, o).Send(ctx, message()), reset.Sent, "")
		})
	}
}

// TestPipelinedAnswers holds that the first refusal decides, whatever is said
// to the commands behind it, and that then nothing is handed over.
func TestPipelinedAnswers(t *testing.T) {
	const quit, cut = "QUIT\r\n", "DATA\r\n" // how the client ends
	for _, tt := range []struct {
		name  string
		moves []move
		want  reset.DeliveryStatus
		err   string
		ends  string
	}{
		{"MAIL 550", after(group, say("550 5.7.1 <support@example.com> no\n503 5.5.1 MAIL first\n503 5.5.1 RCPT first")), reset.Misconfigured, "MAIL: answer 550 5.7.1", quit},
		{"MAIL 451", after(group, say("451 4.3.0 no\n503 5.5.1 no\n554 5.5.1 no")), reset.NotSent, "MAIL: answer 451 4.3.0", quit},
		{"MAIL 451, the rest taken", after(group, say("451 4.3.0 no\n250 ok\n354 go")), reset.NotSent, "MAIL: answer 451 4.3.0", cut},
		{"MAIL 451, the rest late", after(group, say("451 4.3.0 no"), say("503-5.5.1 no\n503 5.5.1 no"), say("354 go")), reset.NotSent, "MAIL: answer 451 4.3.0", cut},
		{"RCPT 550", after(group, say("250 ok\n550 5.1.1 <alice@example.org> unknown\n554 5.5.1 no valid recipients")), reset.Rejected, "RCPT: answer 550 5.1.1", quit},
		{"RCPT 550, text wanted", after(group, say("250 ok\n550 5.1.1 <alice@example.org> unknown\n354 go")), reset.Rejected, "RCPT: answer 550 5.1.1", cut},
		{"RCPT 450, text wanted", after(group, say("250 ok\n450 4.2.1 greylisted\n354 go")), reset.NotSent, "RCPT: answer 450 4.2.1", cut},
		{"RCPT 550, DATA 421", after(group, say("250 ok\n550 5.1.1 unknown\n421 4.3.2 bye"), bye), reset.Rejected, "RCPT: answer 550 5.1.1", cut},
		{"RCPT 550, then gone", after(group, say("250 ok\n550 5.1.1 unknown"), bye), reset.Rejected, "RCPT: answer 550 5.1.1", cut},
		{"RCPT 550, then nonsense", after(group, say("250 ok\n550 5.1.1 unknown\nalice@example.org?")), reset.Rejected, "RCPT: answer 550 5.1.1", cut},
		{"DATA 451", after(group, say("250 ok\n250 ok\n451 4.3.0 no")), reset.NotSent, "DATA: answer 451 4.3.0", quit},
		{"DATA 250", after(group, say("250 ok\n250 ok\n250 ok")), reset.NotSent, "DATA: answer 250", quit},
		{"gone before MAIL", after(group, bye), reset.NotSent, "MAIL: connection lost", cut},
		{"gone before RCPT", after(group, say("250 ok"), bye), reset.NotSent, "RCPT: connection lost", cut},
		{"gone before DATA", after(group, say("250 ok\n250 ok"), bye), reset.NotSent, "DATA: connection lost", cut},
		{"gone at the dot", after(group, say("250 ok\n250 ok\n354 go"), take, bye), reset.Unknown, "end of message: connection lost", ".\r\n"},
		{"one answer too many", after(group, say("250 ok\n250 ok\n354 go\n250 queued")), reset.NotSent, "DATA: relay answered before it was asked", cut},
		{"answers before the commands", after(offering[:len(offering)-1], say("250-relay\n250 PIPELINING\n250 ok\n250 ok\n354 go\n250 queued")), reset.NotSent, "MAIL: relay answered before it was asked", "EHLO sidecar.example.com\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan struct{}, 1)
			address, heard := script(t, after(tt.moves, toTheEnd(ended))...)
			c := newClient(t, smtpout.Options{Address: address, Hello: "sidecar.example.com"})
			check(t, c.Send(t.Context(), message()), tt.want, tt.err)
			<-ended
			if !strings.HasSuffix(heard.String(), tt.ends) {
				t.Errorf("ends with %q, want %q", heard, tt.ends)
			}
			if text := strings.Contains(heard.String(), "SECRETTOKEN"); text != (tt.want == reset.Unknown) {
				t.Errorf("text was sent: %v; heard %q", text, heard)
			}
			if c.Idle() != 0 {
				t.Error("connection kept")
			}
		})
	}
}

// TestPipelinedSlow holds that a relay which leaves an answer out costs no more
// than the time for a command, and that its first refusal stands.
func TestPipelinedSlow(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		want       reset.DeliveryStatus
		err        string
	}{
		{"no answer", "", reset.NotSent, "MAIL: timed out"},
		{"one", "250 ok", reset.NotSent, "RCPT: timed out"},
		{"two", "250 ok\n250 ok", reset.NotSent, "DATA: timed out"},
		{"one refusal", "451 4.3.0 no", reset.NotSent, "MAIL: answer 451 4.3.0"},
		{"a refusal behind one", "250 ok\n550 5.1.1 unknown", reset.Rejected, "RCPT: answer 550 5.1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			moves := after(group, hang)
			if tt.said != "" {
				moves = after(group, say(tt.said), hang)
			}
			address, heard := script(t, moves...)
			c := newClient(t, smtpout.Options{Address: address})
			c.SetTimeouts(100*time.Millisecond, 0)
			start := time.Now()
			check(t, c.Send(t.Context(), message()), tt.want, tt.err)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			until(t, "the end", func() bool { return strings.HasSuffix(heard.String(), "DATA\r\n") })
		})
	}
}

// TestSurplusAnswer holds that what a relay says beyond its answer to a mail is
// not taken for its answer to the next one.
func TestSurplusAnswer(t *testing.T) {
	for name, moves := range map[string][]move{
		"pipelined":  after(group, say("250 ok\n250 ok\n354 go")),
		"one by one": text,
	} {
		t.Run(name, func(t *testing.T) {
			address, heard := script(t, after(moves, take, say("250 queued\n250 ok\n250 ok\n354 go\n250 queued"), hang)...)
			c := newClient(t, smtpout.Options{Address: address})
			check(t, c.Send(t.Context(), message()), reset.Sent, "")
			if c.Idle() != 0 {
				t.Fatal("connection kept")
			}
			until(t, "goodbye", func() bool { return strings.HasSuffix(heard.String(), "QUIT\r\n") })
			check(t, c.Send(t.Context(), message()), reset.Sent, "")
			if n := strings.Count(heard.String(), "EHLO"); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestWrites holds that a usual mail takes two writes, and two records of TLS:
// its commands, and its text with the dot.
func TestWrites(t *testing.T) {
	m := message()
	m.Data = bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 130)
	ca := newAuthority(t)
	r := newRelay(t, relayOptions{tls: ca.issue(t, nil), implicit: true})
	plain := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address, TLS: "implicit", TrustedCA: ca.file})
	var before int
	for range 3 {
		check(t, c.Send(t.Context(), m), reset.Sent, "")
		records := 0
		for wire := []byte(r.sent()); len(wire) > 0; records++ {
			wire = wire[5+int(binary.BigEndian.Uint16(wire[3:])):]
		}
		if before > 0 && records-before != 2 {
			t.Errorf("%d records for one mail", records-before)
		}
		before = records
	}

	raw, err := net.Dial("tcp", plain.address)
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingConn{Conn: raw}
	c = newClient(t, smtpout.Options{Address: plain.address})
	check(t, c.Converse(t.Context(), counted, m), reset.Sent, "")
	if counted.writes != 3 {
		t.Errorf("%d writes for EHLO and one mail", counted.writes)
	}
}

type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// TestText holds that a text arrives as it was, whatever its lines begin and end
// with and wherever it is cut in writes.
func TestText(t *testing.T) {
	r := newRelay(t, relayOptions{})
	c := newClient(t, smtpout.Options{Address: r.address})
	for _, tt := range []struct{ name, sent, want string }{
		{"dots", ".\r\n..\r\n.a\r\n\r\n.\r\n", ".\r\n..\r\n.a\r\n\r\n.\r\n"},
		{"dot in a line", "a.\r\na\r\n", "a.\r\na\r\n"},
		{"no last line end", "a\r\nb", "a\r\nb\r\n"},
		{"a dot without line end", "a\r\n.", "a\r\n.\r\n"},
		{"nothing", "", "\r\n"},
		{"long", strings.Repeat(".\r\n..x\r\n", 20_000), strings.Repeat(".\r\n..x\r\n", 20_000)},
		{"long line", strings.Repeat("x\r\n"+strings.Repeat("y", 997)+"\r\n", 50), strings.Repeat("x\r\n"+strings.Repeat("y", 997)+"\r\n", 50)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := message()
			m.Data = []byte(tt.sent)
			check(t, c.Send(t.Context(), m), reset.Sent, "")
			if got := r.got(); got[len(got)-1].data != tt.want {
				t.Errorf("relay got %d bytes, want %d", len(got[len(got)-1].data), len(tt.want))
			}
		})
	}
}

// TestMailParameters holds what MAIL carries, by what the relay offers.
func TestMailParameters(t *testing.T) {
	for _, tt := range []struct{ name, offers, to, want string }{
		{"nothing", "250 relay", "alice@example.org", "MAIL FROM:<support@example.com>\r\n"},
		{"SIZE and 8BITMIME", "250-relay\n250-8BITMIME\n250 SIZE 100000", "alice@example.org", "MAIL FROM:<support@example.com> BODY=8BITMIME SIZE=67\r\n"},
		{"SIZE without a limit", "250-relay\n250 SIZE", "alice@example.org", "MAIL FROM:<support@example.com> SIZE=67\r\n"},
		{"SMTPUTF8", "250-relay\n250 SMTPUTF8", "пошта@example.org", "MAIL FROM:<support@example.com> SMTPUTF8\r\n"},
		{"SMTPUTF8 without need", "250-relay\n250 SMTPUTF8", "alice@example.org", "MAIL FROM:<support@example.com>\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, heard := script(t, say("220 x"), hear, say(tt.offers), hear, say("250 ok"), hear, say("250 ok"), hear, say("354 go"), take, say("250 ok"))
			m := message()
			m.To = tt.to
			check(t, newClient(t, smtpout.Options{Address: address}).Send(t.Context(), m), reset.Sent, "")
			if !strings.Contains(heard.String(), tt.want+"RCPT TO:<"+tt.to+">\r\nDATA\r\n") {
				t.Errorf("heard %q", heard)
			}
		})
	}
}

// TestReceipt holds that what a relay says as it takes a mail reaches the
// operator as one short line that names nobody.
func TestReceipt(t *testing.T) {
	for _, tt := range []struct{ name, said, want string }{
		{"queue id", "250 2.0.0 Ok: queued as 4A7F21", "250 2.0.0 Ok: queued as 4A7F21"},
		{"no text", "250 ", "250"},
		{"several lines", "250-2.0.0 queued\n250-2.0.0  as\n250 2.0.0 4A7F21", "250 2.0.0 queued 2.0.0 as 2.0.0 4A7F21"},
		{"address", "250 2.1.5 <alice@example.org> queued", ""},
		{"address in a later line", "250-2.0.0 queued\n250 for alice@example.org", ""},
		{"address behind the cut", "250 " + strings.Repeat("x", 200) + " alice@example.org", ""},
		{"Message-ID", "250 2.6.0 <x.1@relay.test> queued", ""},
		{"recipient without its domain", "250 2.0.0 delivered to ALICE", ""},
		{"recipient in another spelling", "250 2.0.0 alice=40example.org queued", ""},
		{"terminal control", "250 2.0.0 \x1b[2J\x07queued\x7f", "250 2.0.0 ?[2J?queued?"},
		{"carriage return", "250 2.0.0 queued\rover it", "250 2.0.0 queued over it"},
		{"not ASCII", "250 2.0.0 en file d\u2019attente \xff\u202e", "250 2.0.0 en file d?attente ??"},
		{"very long", "250 " + strings.Repeat("long ", 100), "250 " + strings.Repeat("long ", 15) + "l"},
		{"cut at a space", "250 " + strings.Repeat("x", 75) + " yz", "250 " + strings.Repeat("x", 75)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := script(t, after(dot, say(tt.said), hang)...)
			d := newClient(t, smtpout.Options{Address: address}).Send(t.Context(), message())
			if d.Status != reset.Sent || d.Answer != tt.want || len(d.Answer) > 80 {
				t.Errorf("%d, answer %q, want %q", d.Status, d.Answer, tt.want)
			}
		})
	}
}

// TestReceiptOfSentOnly holds that no answer of another kind is passed on.
func TestReceiptOfSentOnly(t *testing.T) {
	for _, said := range []string{"451 4.3.0 later", "354 more", "554 5.7.1 spam"} {
		address, _ := script(t, after(dot, say(said), hang)...)
		if d := newClient(t, smtpout.Options{Address: address}).Send(t.Context(), message()); d.Status == reset.Sent || d.Answer != "" {
			t.Errorf("%s: %d, answer %q", said, d.Status, d.Answer)
		}
	}
}

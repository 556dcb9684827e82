package smtpout_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

// A parrot is a relay that says one thing after the other, whatever it hears:
// one for the connection, one for each line, and after its own 354 one for the
// whole message.
type parrot struct {
	heard   strings.Builder
	message bool // came to its dot
}

func (p *parrot) talk(c net.Conn, replies []string) {
	defer c.Close()
	r := bufio.NewReader(io.TeeReader(c, &p.heard))
	for n, reply := range replies {
		if n > 0 {
			line, err := r.ReadString('\n')
			if strings.HasPrefix(replies[n-1], "354") {
				for err == nil && line != ".\r\n" {
					line, err = r.ReadString('\n')
				}
				p.message = p.message || err == nil
			}
			if err != nil {
				return
			}
		}
		if _, err := io.WriteString(c, reply+"\r\n"); err != nil {
			return
		}
	}
	// What the client still says is heard, and answered by a closed connection.
	_, _ = io.Copy(io.Discard, r)
}

// ownWords is what an error of a delivery is made of: nothing in it is the
// relay's but three digits and an enhanced code.
var ownWords = regexp.MustCompile(`^smtp: [A-Za-z ]+: (answer [0-9]{3}( [0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})?|[a-zA-Z0-9 ,()_-]+)$`)

// FuzzReplies holds that no relay, whatever it says, makes a mail sent that was
// not handed over whole, or lost that may have arrived, or gets a word of its
// own into an error.
func FuzzReplies(f *testing.F) {
	const start = "220 relay|250-relay\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250 SIZE 100000|"
	const pipe = "220 relay|250-relay\r\n250-PIPELINING\r\n250 SIZE 100000|"
	for _, s := range []string{
		start + "250 ok|250 ok|354 go|250 2.0.0 queued",
		start + "250 ok|550 5.1.1 <alice@example.org> unknown|250 ok",
		start + "250 ok|250 ok|354 go|451 4.3.0 later", start + "250 ok|250 ok|354 go|", start + "250 ok|250 ok\r\n354 go\r\n250 queued|x|y",
		start + "334 |334 |235 ok|250 ok|250 ok|354 go|250 ok", start + "334 !|", start + "334 VXNlcm5hbWU6|334 UGFzc3dvcmQ6|334 more|", start + "334 eyJzdGF0dXMiOiI0MDEifQ==|535 5.7.8 no|",
		"220-" + strings.Repeat("x", 3000) + "|", "421 busy", "HTTP/1.1 400 Bad Request", "220 x|250-SIZE 1\r\n250 SMTPUTF8", "220 x|250-SIZE 99999999999999999999999\r\n250-AUTH\r\n250 AUTH=PLAIN",
		"220 x\r\n250 early", "", "\x00", "220|250|250|250|354|999", start + "250 ok|250 ok|354 go|250-a\r\n250-b\r\n550 c",
		pipe + "250 ok|250 ok|354 go|250 2.0.0 queued", pipe + "250 ok|550 5.1.1 unknown|354 go|250 queued", pipe + "451 no|503 no|354 go|250 queued", pipe + "250 ok|250 ok|354 go\r\n250 queued|x", pipe + "250 ok|354 go|250 ok|",
	} {
		f.Add(s, "", false)
		f.Add(s, "login", true)
		f.Add(s, "xoauth2", true)
	}
	f.Fuzz(func(t *testing.T, script, mechanism string, login bool) {
		synctest.Test(t, func(t *testing.T) {
			c, err := smtpout.New(smtpout.Options{Address: "127.0.0.1:1", Hello: "sidecar.example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if login {
				c.LogIn("reset@example.com", "hunter2", mechanism)
			}
			ours, theirs := net.Pipe()
			p := new(parrot)
			done := make(chan struct{})
			go func() {
				defer close(done)
				p.talk(theirs, strings.Split(script, "|"))
			}()
			d := c.Converse(context.Background(), ours, message())
			c.Close()
			<-done

			whole := strings.Contains(p.heard.String(), "SECRETTOKEN") && strings.Contains(p.heard.String(), "\r\n.\r\n")
			switch d.Status {
			case reset.Sent:
				if d.Err != nil || !whole || !regexp.MustCompile(`(?m)(^|\|)25[0-9]`).MatchString(script) {
					t.Errorf("sent, with %v; heard %q", d.Err, p.heard.String())
				}
			case reset.Unknown:
				// A message that is being written may have arrived.
				if !strings.Contains(p.heard.String(), "DATA\r\n") {
					t.Errorf("unknown; heard %q", p.heard.String())
				}
			case reset.NotSent, reset.Rejected, reset.Misconfigured, reset.Unwanted:
				// The relay has the message when it has seen the dot, and says so.
				if last := script[strings.LastIndexByte(script, '|')+1:]; p.message && strings.HasPrefix(last, "250 ") && whole && strings.Count(script, "|") == 5 && !login {
					t.Errorf("%v, %v; heard %q", d.Status, d.Err, p.heard.String())
				}
			default:
				t.Errorf("status %v", d.Status)
			}
			if d.Err != nil && !ownWords.MatchString(d.Err.Error()) {
				t.Errorf("error %q", d.Err)
			}
			if d.Status != reset.Sent && d.Err == nil {
				t.Errorf("%v without an error", d.Status)
			}
		})
	})
}

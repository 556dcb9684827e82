package smtpout_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		moves []move
		want  reset.DeliveryStatus
		err   string
	}{
		{"accepted, then gone", after(dot, say("250 2.0.0 queued")), reset.Sent, ""},
		{"accepted in several lines", after(dot, say("250-2.0.0 queued\n250 2.0.0 as 1")), reset.Sent, ""},
		{"greeted by 421", []move{say("421 4.3.2 busy alice@example.org")}, reset.Unreachable, "greeting: answer 421 4.3.2"},
		{"greeted by 554", []move{say("554 5.7.1 go away")}, reset.Misconfigured, "greeting: answer 554 5.7.1"},
		{"greeted by HTTP", []move{say("HTTP/1.1 400 Bad Request")}, reset.Unreachable, "greeting: relay does not follow the protocol"},
		{"no greeting", nil, reset.Unreachable, "greeting: connection lost"},
		{"EHLO 421", []move{say("220 x"), hear, say("421 4.3.2 no")}, reset.Unreachable, "EHLO: answer 421 4.3.2"},
		{"EHLO 550", []move{say("220 x"), hear, say("550 5.7.1 who are you")}, reset.Misconfigured, "EHLO: answer 550 5.7.1"},
		{"EHLO gone", []move{say("220 x"), hear}, reset.Unreachable, "EHLO: connection lost"},
		{"MAIL 421", after(mail, say("421 4.3.2 no")), reset.NotSent, "MAIL: answer 421 4.3.2"},
		{"MAIL 451", after(mail, say("451 4.3.0 no")), reset.NotSent, "MAIL: answer 451 4.3.0"},
		{"MAIL 550", after(mail, say("550 5.7.1 <support@example.com> no")), reset.Misconfigured, "MAIL: answer 550 5.7.1"},
		{"MAIL 530", after(mail, say("530 5.7.0 authenticate")), reset.Misconfigured, "MAIL: answer 530 5.7.0"},
		{"MAIL gone", mail, reset.NotSent, "MAIL: connection lost"},
		{"RCPT 450", after(rcpt, say("450 4.2.1 <alice@example.org> greylisted")), reset.NotSent, "RCPT: answer 450 4.2.1"},
		{"RCPT 452", after(rcpt, say("452 4.2.2 full")), reset.NotSent, "RCPT: answer 452 4.2.2"},
		{"RCPT 550", after(rcpt, say("550 5.1.1 <alice@example.org> unknown")), reset.Rejected, "RCPT: answer 550 5.1.1"},
		{"RCPT 550 bare", after(rcpt, say("550 alice@example.org unknown")), reset.Rejected, "RCPT: answer 550"},
		{"RCPT 552", after(rcpt, say("552 5.2.2 full")), reset.Rejected, "RCPT: answer 552 5.2.2"},
		{"RCPT 530", after(rcpt, say("530 5.7.0 authenticate")), reset.Misconfigured, "RCPT: answer 530 5.7.0"},
		{"RCPT gone", rcpt, reset.NotSent, "RCPT: connection lost"},
		{"DATA 451", after(data, say("451 4.3.0 no")), reset.NotSent, "DATA: answer 451 4.3.0"},
		{"DATA 554", after(data, say("554 5.5.1 no valid recipients")), reset.Misconfigured, "DATA: answer 554 5.5.1"},
		{"DATA 250", after(data, say("250 2.0.0 sure")), reset.NotSent, "DATA: answer 250 2.0.0"},
		{"DATA gone", data, reset.NotSent, "DATA: connection lost"},
		{"dot 421", after(dot, say("421 4.3.2 no")), reset.NotSent, "end of message: answer 421 4.3.2"},
		{"dot 451", after(dot, say("451 4.3.0 later")), reset.NotSent, "end of message: answer 451 4.3.0"},
		{"dot 452", after(dot, say("452 4.3.1 disk")), reset.NotSent, "end of message: answer 452 4.3.1"},
		{"dot 550 user", after(dot, say("550 5.1.1 unknown")), reset.Rejected, "end of message: answer 550 5.1.1"},
		{"dot 552 mailbox", after(dot, say("552 5.2.2 full")), reset.Rejected, "end of message: answer 552 5.2.2"},
		{"dot 550 sender", after(dot, say("550 5.1.8 bad sender")), reset.Misconfigured, "end of message: answer 550 5.1.8"},
		{"dot 552 size", after(dot, say("552 5.3.4 too big")), reset.Unwanted, "end of message: answer 552 5.3.4"},
		{"dot 554", after(dot, say("554 5.7.1 spam")), reset.Unwanted, "end of message: answer 554 5.7.1"},
		{"dot 554 bare", after(dot, say("554 spam")), reset.Unwanted, "end of message: answer 554"},
		{"dot neither yes nor no", after(dot, say("354 more")), reset.Unknown, "end of message: answer 354"},
		{"dot nonsense", after(dot, say("alice@example.org?")), reset.Unknown, "end of message: relay does not follow the protocol"},
		{"gone after the dot", dot, reset.Unknown, "end of message: connection lost"},
		{"implausible code", after(rcpt, say("550 9.123456.1 x")), reset.Rejected, "RCPT: answer 550"},
		{"negative code", after(rcpt, say("550 5.-1.1 x")), reset.Rejected, "RCPT: answer 550"},
		{"pipelined", []move{say("220 x\n250 x\n250 x\n250 x\n354 x\n250 x"), hang}, reset.Misconfigured, "greeting: relay answered before it was asked"},
		{"pipelined behind EHLO", []move{say("220 x"), hear, say("502 5.5.1 what\n250 x"), hear}, reset.Misconfigured, "EHLO: relay answered before it was asked"},
		{"size", []move{say("220 x"), hear, say("250-x\n250 SIZE 10"), hear}, reset.Misconfigured, "DATA: message is larger than the relay takes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := script(t, tt.moves...)
			c := newClient(t, smtpout.Options{Address: address})
			d := c.Send(t.Context(), message())
			check(t, d, tt.want, tt.err)
		})
	}
}

func check(t *testing.T, d reset.Delivery, want reset.DeliveryStatus, cause string) {
	t.Helper()
	if d.Status != want {
		t.Fatalf("status %d, %v; want %d", d.Status, d.Err, want)
	}
	if (d.Err == nil) != (cause == "") || d.Err != nil && d.Err.Error() != "smtp: "+cause {
		t.Errorf("error %v, want %q", d.Err, cause)
	}
	if d.Err != nil && strings.ContainsAny(d.Err.Error(), "@<>") {
		t.Errorf("error quotes the relay: %v", d.Err)
	}
}

// TestUnreachable covers what happens before there is a relay.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c := newClient(t, smtpout.Options{Address: address})
	check(t, c.Send(t.Context(), message()), reset.Unreachable, "connecting: connection refused")

	c = newClient(t, smtpout.Options{Address: "relay.invalid:587"})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if d := c.Send(ctx, message()); d.Status != reset.Unreachable || !strings.HasPrefix(d.Err.Error(), "smtp: connecting: ") {
		t.Errorf("%+v", d)
	}
	done, cancel2 := context.WithCancel(t.Context())
	cancel2()
	if d := c.Send(done, message()); d.Status != reset.NotSent {
		t.Errorf("%+v", d)
	}
}

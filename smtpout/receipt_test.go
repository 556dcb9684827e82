package smtpout_test

import (
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/smtpout"
)

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

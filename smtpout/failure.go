package smtpout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"

	"github.com/emersion/go-smtp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A stage is where in the dialogue an attempt ended.
type stage string

const (
	stageConnect   stage = "connecting"
	stageTLS       stage = "TLS handshake"
	stageGreeting  stage = "greeting"
	stageHello     stage = "EHLO"
	stageStartTLS  stage = "STARTTLS"
	stageAuth      stage = "AUTH"
	stageMail      stage = "MAIL"
	stageRecipient stage = "RCPT"
	stageData      stage = "DATA"
	stageEnd       stage = "end of message"
)

// Causes that Probe knows a cure for.
const (
	causeTimeout     = "timed out"
	causeElsewhere   = "TLS is off and the relay is another machine"
	causeNoStartTLS  = "relay does not offer it"
	causeNoMechanism = "relay offers no mechanism that may be used"
	causeNoSecret    = "secret could not be read"
	causeOddSecret   = "secret is empty or has a control character"
)

// authRequired is a relay's 530: log in first (RFC 4954 section 6).
const authRequired = 530

// A failure says why and where an attempt ended, in our own words and numbers
// only. It is the error of a [reset.Delivery].
type failure struct {
	status   reset.DeliveryStatus
	stage    stage
	code     int               // of the relay's answer, 0 if there was none
	enhanced smtp.EnhancedCode // RFC 3463, zero if there was none
	cause    string            // if there is no code
	err      error             // behind the cause, for Probe to judge; it may quote the relay, so it is never shown
}

func (f *failure) Error() string {
	switch {
	case f.code == 0:
		return fmt.Sprintf("smtp: %s: %s", f.stage, f.cause)
	case f.enhanced[0] == 0:
		return fmt.Sprintf("smtp: %s: answer %d", f.stage, f.code)
	}
	return fmt.Sprintf("smtp: %s: answer %d %d.%d.%d", f.stage, f.code, f.enhanced[0], f.enhanced[1], f.enhanced[2])
}

// delivery of no failure is Sent.
func (f *failure) delivery() reset.Delivery {
	if f == nil {
		return reset.Delivery{Status: reset.Sent}
	}
	return reset.Delivery{Status: f.status, Err: f}
}

// early is a failure from before the relay was ready for a mail: it would have
// come about with any other.
func (f *failure) early(ctx context.Context) *failure {
	if f.status == reset.NotSent && !errors.Is(ctx.Err(), context.Canceled) {
		f.status = reset.Unreachable
	}
	return f
}

func misconfigured(at stage, cause string) *failure {
	return &failure{status: reset.Misconfigured, stage: at, cause: cause}
}

func rejected(cause string) *failure {
	return &failure{status: reset.Rejected, stage: stageRecipient, cause: cause}
}

// fail judges an error of the dialogue.
func fail(ctx context.Context, at stage, err error) *failure {
	if code, enhanced, ok := answer(err); ok {
		return &failure{status: judge(at, code, enhanced), stage: at, code: code, enhanced: enhanced}
	}
	f := &failure{status: reset.NotSent, stage: at, cause: describe(err), err: err}
	switch {
	case at == stageEnd:
		// The dot may have arrived: the relay may have the message.
		f.status = reset.Unknown
	case at == stageTLS && !errors.Is(ctx.Err(), context.Canceled):
		f.status = reset.Misconfigured
	case errors.Is(err, errEarly) && (at == stageGreeting || at == stageHello || at == stageStartTLS):
		// Later it may be a relay that shuts down; here somebody may be on the way.
		f.status = reset.Misconfigured
	}
	switch ctx.Err() {
	case context.DeadlineExceeded:
		f.cause = causeTimeout
	case context.Canceled:
		f.cause = "cancelled"
	}
	return f
}

// judge maps a relay's answer. 4xx is for now (RFC 5321 section 4.2.1), 5xx for
// good; whether that is about this recipient or about all mail depends on the
// stage.
func judge(at stage, code int, enhanced smtp.EnhancedCode) reset.DeliveryStatus {
	switch {
	case code >= 500 && code < 600:
		switch at {
		case stageRecipient:
			if code == authRequired {
				return reset.Misconfigured
			}
			return reset.Rejected
		case stageData, stageEnd:
			// Some relays look at the recipient only now: X.1 is about an
			// address (X.1.7 and X.1.8 about the sender's), X.2 about a mailbox.
			sender := enhanced[2] == 7 || enhanced[2] == 8
			switch {
			case enhanced[0] == 5 && (enhanced[1] == 1 && !sender || enhanced[1] == 2):
				return reset.Rejected
			case at == stageEnd && !(enhanced[1] == 1 && sender):
				return reset.Unwanted
			}
		}
		return reset.Misconfigured
	case code >= 400 && code < 500:
		return reset.NotSent
	case at == stageEnd:
		return reset.Unknown // neither yes nor no
	}
	return reset.NotSent
}

// answer finds the numbers of a relay's answer in an error.
func answer(err error) (int, smtp.EnhancedCode, bool) {
	var library *smtp.SMTPError
	if errors.As(err, &library) {
		return library.Code, plausible(library.EnhancedCode), true
	}
	var own *textproto.Error
	if errors.As(err, &own) {
		return own.Code, parseEnhanced(own.Msg), true
	}
	return 0, smtp.EnhancedCode{}, false
}

func parseEnhanced(text string) smtp.EnhancedCode {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return smtp.EnhancedCode{}
	}
	var code smtp.EnhancedCode
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 10)
		if err != nil {
			return smtp.EnhancedCode{}
		}
		code[i] = int(n)
	}
	return plausible(code)
}

// plausible drops what no RFC 3463 code can be: a relay must not choose the
// numbers in our log freely.
func plausible(code smtp.EnhancedCode) smtp.EnhancedCode {
	if code[0] != 2 && code[0] != 4 && code[0] != 5 {
		return smtp.EnhancedCode{}
	}
	for _, n := range code {
		if n < 0 || n > 999 {
			return smtp.EnhancedCode{}
		}
	}
	return code
}

// describe says what went wrong without what the relay or its certificate
// says.
func describe(err error) string {
	var (
		timeout  net.Error
		dns      *net.DNSError
		errno    syscall.Errno
		foreign  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verified *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		remote   *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "name of the relay not found"
		}
		return "name of the relay could not be looked up"
	case errors.As(err, &timeout) && timeout.Timeout():
		return causeTimeout
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, errFlood), errors.Is(err, smtp.ErrTooLongLine):
		return "relay sends too much"
	case errors.Is(err, errEarly):
		return "relay answered before it was asked"
	case errors.As(err, &foreign):
		return "certificate is signed by an unknown authority (trusted_ca names another)"
	case errors.As(err, &name):
		return "certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate has expired or is not yet valid"
	case errors.As(err, &verified):
		return "certificate is not valid"
	case errors.As(err, &record):
		return "relay does not speak TLS here (wrong port, or starttls instead of implicit)"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "relay refuses the handshake (" + remote.Err.Error() + ")" // the text of an alert is crypto/tls's
	case transport(err):
		return "connection lost"
	}
	return "relay does not follow the protocol"
}

// transport reports whether err is the end of a connection.
func transport(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, errFlood) || errors.As(err, &op)
}

package webhookout_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// ownWords is what an error about an answer is made of: of the app's own there
// is a status and no more, since an app that echoes would have us log a
// password.
var ownWords = regexp.MustCompile(`^(the app answered [0-9]{1,3}[-a-zA-Z0-9 ,;?.]*|no answer in time|connection closed without an answer|no valid HTTP answer|(read|write) tcp [0-9.:]+->[0-9.:]+: [a-z :]+)$`)

// FuzzAnswer holds that an app that answers with any bytes at all makes a change
// applied by a 2xx alone, refused by a 422 alone, and gets no word of its own
// into a log.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
		"HTTP/1.1 422 x\r\nContent-Length: 26\r\n\r\n{\"detail\":\"need a digit\"}  ", "HTTP/1.1 422 x\r\n\r\n{\"detail\":\"a\\u0000\\u202e\\nb\"}",
		"HTTP/1.1 503 x\r\nRetry-After: 99999999999\r\n\r\n", "HTTP/1.1 429 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n", "HTTP/1.1 429 x\r\nRetry-After: -1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", "220 smtp ready\r\n", "", "HTTP/1.1 999 x\r\n\r\n",
		"HTTP/1.0 410 Gone\r\n\r\n", "HTTP/1.1 409 Conflict\r\n\r\n", "HTTP/1.1 0 x\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	var mu sync.Mutex
	var raw []byte
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = r.Body.Read(make([]byte, 4096))
				mu.Lock()
				_, _ = c.Write(raw)
				mu.Unlock()
			}
			c.Close()
		}
	})
	f.Cleanup(func() { l.Close(); serving.Wait() })
	target := &webhookout.Target{Client: newClient(f, webhookout.Options{URL: "http://" + l.Addr().String()})}
	status := regexp.MustCompile(`^HTTP/[0-9]\.[0-9] +([0-9]{3})`)
	f.Fuzz(func(t *testing.T, answer []byte) {
		mu.Lock()
		raw = answer
		mu.Unlock()
		a := target.Apply(context.Background(), change)
		want := map[reset.Verdict]string{reset.Applied: "2", reset.Refused: "422", reset.Gone: "410", reset.Superseded: "409"}[a.Verdict]
		final := want == ""
		for line := range strings.SplitSeq(string(answer), "\n") {
			if m := status.FindStringSubmatch(line); m != nil && strings.HasPrefix(m[1], want) {
				final = true
			}
		}
		if !final {
			t.Errorf("%q is %v", answer, a.Verdict)
		}
		if !utf8.ValidString(a.Detail) || utf8.RuneCountInString(a.Detail) > reset.MaxDetail || strings.ContainsFunc(a.Detail, unicode.IsControl) ||
			a.Detail != "" && a.Verdict != reset.Refused {
			t.Errorf("%q: detail %q", answer, a.Detail)
		}
		if a.RetryAfter < 0 || a.RetryAfter > 2*time.Hour {
			t.Errorf("%q: wait %s", answer, a.RetryAfter)
		}
		if (a.Err != nil) != (a.Verdict == reset.Retry) || a.Err != nil && !ownWords.MatchString(a.Err.Error()) {
			t.Errorf("%q: %v, %v", answer, a.Verdict, a.Err)
		}
	})
}

// FuzzSecret holds that a secret has one key, however it is written, and that
// neither it nor an error shows it.
func FuzzSecret(f *testing.F) {
	for _, s := range []string{testSecret, "v1," + testSecret, "whsec_", "whsk_x", "whsec_AAAA", testSecret + "\n", "whsec_whsec_" + testSecret, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		secret, err := webhookout.ParseSecret(s)
		if err != nil {
			if len(s) > 20 && strings.Contains(err.Error(), s) {
				t.Errorf("the error holds the secret: %v", err)
			}
			return
		}
		bare := strings.TrimPrefix(strings.TrimPrefix(s, "v1,"), "whsec_")
		again, err := webhookout.ParseSecret("whsec_" + bare)
		if err != nil {
			t.Fatalf("%q is a secret and whsec_%s is none: %v", s, bare, err)
		}
		if secret.String() != "[secret]" || strings.ContainsAny(s, "\r\n") || len(bare) < 32 || len(bare) > 88 || !reflect.DeepEqual(again, secret) {
			t.Errorf("%q is a secret", s)
		}
	})
}

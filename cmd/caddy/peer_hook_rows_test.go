package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// hookTimeout is what the sites of these rows set, as an operator may: less
// than a person waits, and enough for an answer on a busy machine.
const hookTimeout = 3 * time.Second

// Values of again, where an answer asks for time.
const (
	againSoon = ""
	againAsk  = "3s"
	againMost = "2h0m0s"
)

// A hookRow is one way in which an app misbehaves when it is to take a new
// password, and what the person reads and the log says then.
type hookRow struct {
	name string
	do   func(*hookCall)
	bad  *tls.Config // speaks TLS, and until it is mended with this

	status int    // of the answer to the person
	text   string // in it
	fate   string // in the log
	cause  string // in the log
	again  string
}

func (r hookRow) String() string { return r.name }

// readsPending is what a person reads while the change goes on.
const readsPending = `"status":"pending"`

// silentApps never finish, or not in time.
func silentApps() (rows []hookRow) {
	for _, r := range []struct {
		name  string
		do    func(*hookCall)
		cause string
	}{
		{"says nothing", (*hookCall).wait, "no answer in time"},
		{"reads and says nothing", answeringThen("", (*hookCall).wait), "no answer in time"},
		{"drips the status line", answeringThen("", slowly("H")), ""},
		{"drips the header", answeringThen("HTTP/1.1 200 OK\n", slowly("x: y\n")), "no answer in time"},
		{"drips 103", answeringThen("", slowly("HTTP/1.1 103 Early Hints\n\n")), "no answer in time"},
		{"answers late", applying(func(c *hookCall) {
			c.wait()
			c.send("HTTP/1.1 204 No Content\n\n")
		}), "no answer in time"},
		{"hangs up", func(*hookCall) {}, ""},
		{"resets at once", resetting, ""},
		{"reads and hangs up", answering(""), "connection closed without an answer"},
		{"reads and resets", answeringThen("", resetting), "reset"},
		{"applies and resets", applying(resetting), "reset"},
		{"applies and hangs up", applying(func(*hookCall) {}), "connection closed without an answer"},
		{"floods its header", answeringThen("HTTP/1.1 200 OK\n", flooding("x: y\n")), "no valid HTTP answer"},
		{"header line without end", answeringThen("HTTP/1.1 200 OK\nx: ", flooding("y")), "no valid HTTP answer"},
		{"floods 100", answeringThen("", flooding("HTTP/1.1 100 Continue\n\n")), "no valid HTTP answer"},
		{"floods 103", answeringThen("", flooding("HTTP/1.1 103 Early Hints\nlink: </a>\n\n")), "no valid HTTP answer"},
		{"speaks SMTP", answering("220 mail.example.com " + foreignText + "\n"), "no valid HTTP answer"},
		{"echoes", func(c *hookCall) {
			_ = c.read()
			c.send("HTTP/1.1 200 OK\nx" + string(c.body) + "\n\n")
		}, "no valid HTTP answer"},
	} {
		rows = append(rows, hookRow{name: r.name, do: r.do, status: http.StatusAccepted, text: readsPending, fate: logChangeRetried, cause: r.cause})
	}
	return rows
}

// refusingApps answer with every status that means something to us or to
// others.
func refusingApps() (rows []hookRow) {
	row := func(name string, do func(*hookCall), fate, cause, again string) {
		rows = append(rows, hookRow{name: name, do: do, status: http.StatusAccepted, text: readsPending, fate: fate, cause: cause, again: again})
	}
	for _, status := range []int{400, 401, 403, 404, 405, 413} {
		row(fmt.Sprint(status), answeringJSON(fmt.Sprint(status, " ", foreignText), `{"detail":"`+foreignText+`"}`), logChangeAlarmed, fmt.Sprintf("the app answered %d", status), againSoon)
	}
	for _, status := range []int{408, 425, 429, 500, 502, 503, 504} {
		row(fmt.Sprint(status), answeringJSON(fmt.Sprint(status, " ", foreignText), foreignText), logChangeRetried, fmt.Sprintf("the app answered %d", status), againSoon)
	}
	row("applied, and 500", applying(answeringJSON("500 X", "{}")), logChangeRetried, "the app answered 500", againSoon)
	for _, r := range []struct{ value, again string }{
		{"3", againAsk},
		{"86400", againMost},
		{time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat), againMost},
		{"0", againSoon},
		{"-5", againSoon},
		{"soon", againSoon},
		{"99999999999999999999", againSoon},
		{"Thu, 01 Jan 1970 00:00:00 GMT", againSoon},
	} {
		for _, status := range []int{429, 503} {
			row(fmt.Sprintf("%d and Retry-After: %s", status, r.value), answering(fmt.Sprintf("HTTP/1.1 %d X\nRetry-After: %s\nContent-Length: 0\n\n", status, r.value)),
				logChangeRetried, fmt.Sprintf("the app answered %d", status), r.again)
		}
	}
	for _, r := range []struct {
		name, body, text string
	}{
		{"422", `{"detail":"needs a digit"}`, "needs a digit"},
		{"422 and a long detail", `{"detail":"` + strings.Repeat("long ", 3000) + `"}`, strings.Repeat("long ", 99)},
		{"422 and markup", `{"detail":"<b onclick=x>bold</b>\u0007\u202e end"}`, `bold`},
		{"422 and HTML", "<html><h1>" + foreignText + "</h1></html>", "does not accept this password"},
		{"422 and an object", `{"detail":{"a":["` + foreignText + `"]}}`, "does not accept this password"},
		{"422 and detail twice", `{"detail":"one","detail":"` + foreignText + `"}`, "does not accept this password"},
		{"422 and bad UTF-8", "{\"detail\":\"\xff\xfe\"}", ""},
		{"422 and no body", "", "does not accept this password"},
	} {
		rows = append(rows, hookRow{name: r.name, do: answeringJSON("422 X", r.body), status: 422, text: r.text, fate: logRefused})
	}
	return append(rows,
		hookRow{name: "422 and a detail without end", do: answeringThen("HTTP/1.1 422 X\n\n{\"detail\":\"", flooding("x")), status: 422, fate: logRefused},
		hookRow{name: "410", do: answeringJSON("410 Gone", "{}"), status: http.StatusGone, text: "account", fate: logGone},
		hookRow{name: "409", do: answeringJSON("409 Conflict", "{}"), status: http.StatusConflict, text: "changed again", fate: logSuperseded},
	)
}

// lyingApps send what looks like success and is none, or does not look like it
// and is.
func lyingApps(decoy string) (rows []hookRow) {
	bomb := func() string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		zeros := make([]byte, 1<<20)
		for range 256 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
		return b.String()
	}()
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
		for _, to := range []string{"http://" + decoy + "/hooks/password-changed", "//" + decoy + "/", "/hooks/elsewhere"} {
			rows = append(rows, hookRow{
				name: fmt.Sprintf("%d to %s", status, to), do: answering(fmt.Sprintf("HTTP/1.1 %d X\nLocation: %s\nContent-Length: 0\n\n", status, to)),
				status: http.StatusAccepted, text: readsPending, fate: logChangeAlarmed, cause: "redirect",
			})
		}
	}
	for _, r := range []struct{ name, answer string }{
		{"200 and HTML", "200 OK\nContent-Type: text/html\n\n<html>Welcome " + foreignText},
		{"200 and text", "200 OK\nContent-Type: text/plain\n\nok"},
		{"200 and half of JSON", "200 OK\nContent-Type: application/json\nConnection: close\n\n{\"a\":"},
		{"gzip bomb", "200 OK\nContent-Type: application/json\nContent-Encoding: gzip\n\n" + bomb},
		{"switches protocols", "101 X\nConnection: upgrade\nUpgrade: x\n\n"},
	} {
		rows = append(rows, hookRow{name: r.name, do: answering("HTTP/1.1 " + r.answer), status: http.StatusAccepted, text: readsPending, fate: logChangeAlarmed})
	}
	rows = append(rows, hookRow{
		name: "HTML without end", do: answeringThen("HTTP/1.1 200 OK\nContent-Type: text/html\n\n", flooding("<p>")),
		status: http.StatusAccepted, text: readsPending, fate: logChangeAlarmed, cause: "not JSON",
	})
	for _, r := range []struct {
		name string
		do   func(*hookCall)
	}{
		{"200 and false", answeringJSON("200 OK", `{"ok":false}`)},
		{"204 of HTML", answering("HTTP/1.1 204 X\nContent-Type: text/html\n\n")},
		{"200, empty, of HTML", answering("HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 0\n\n")},
		{"100, then 204", answering("HTTP/1.1 100 Continue\n\nHTTP/1.1 204 X\n\n")},
		{"JSON without end", answeringThen("HTTP/1.1 200 OK\nContent-Type: application/json\n\n[", flooding("1,"))},
		{"drips JSON", answeringThen("HTTP/1.1 200 OK\nContent-Type: application/json\n\n{\"a\":\"", slowly("x"))},
		{"JSON that breaks off", answering("HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 100\n\n{\"a\":")},
	} {
		rows = append(rows, hookRow{name: r.name, do: applying(r.do), status: http.StatusOK, text: `"status":"changed"`, fate: logChanged})
	}
	return rows
}

// disguisedApps are not who they should be.
func (w *peerWorld) disguisedApps(good tls.Certificate) (rows []hookRow) {
	w.t.Helper()
	config := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	old := config(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, r := range []struct {
		name string
		c    tls.Certificate
	}{
		{"of another name", issue(w.t, good, func(c *x509.Certificate) { c.DNSNames = []string{"app.example.net"} })},
		{"expired", issue(w.t, good, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{"of an unknown authority", issue(w.t, tls.Certificate{}, nil)},
	} {
		rows = append(rows, hookRow{
			name: "certificate " + r.name, do: (*hookCall).behave, bad: config(r.c),
			status: http.StatusAccepted, text: readsPending, fate: logChangeAlarmed, cause: "checking certificate",
		})
	}
	return append(rows, hookRow{
		name: "TLS 1.0 and 1.1 only", do: (*hookCall).behave, bad: old,
		status: http.StatusAccepted, text: readsPending, fate: logChangeRetried,
	})
}

// setting is how a site names a hook.
func (h *hook) setting(path string, secure bool) string {
	scheme, host := "http", h.Address
	if secure {
		scheme, host = "https", strings.Replace(host, "127.0.0.1", "localhost", 1)
	}
	return "webhook " + scheme + "://" + host + path + " {\n\t\t\ttimeout " + hookTimeout.String() + "\n\t\t}"
}

// changeHook is the setting of a hook that takes changes.
func (h *hook) changeHook(secure bool) string { return h.setting(demo.ChangedPath, secure) }

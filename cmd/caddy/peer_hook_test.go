package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// A hook is an endpoint of the app that misbehaves until it is mended, and
// then is the app's own.
type hook struct {
	peer
	Address string

	w      *peerWorld
	ids    []string        // of the messages that came, under mu
	bodies map[string]bool // under mu
}

// newHook returns one that listens until the end of the test. With a
// configuration it speaks TLS; bad, if any, is that of the time before it is
// mended.
func (w *peerWorld) newHook(do func(*hookCall), good, bad *tls.Config) *hook {
	w.t.Helper()
	h := &hook{w: w, bodies: make(map[string]bool)}
	h.Address = "127.0.0.1:" + h.listen(w.t, func(c net.Conn) {
		call := &hookCall{Conn: c, hook: h}
		mended, config := h.isMended(), good
		if !mended && bad != nil {
			config = bad
		}
		if config != nil {
			call.Conn = tls.Server(c, config)
		}
		call.in = bufio.NewReader(call.Conn)
		if mended || do == nil {
			call.behave()
		} else {
			do(call)
		}
	})
	return h
}

// messages returns how many different ones came, by id and by body.
func (h *hook) messages() (ids, bodies int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	distinct := make(map[string]bool)
	for _, id := range h.ids {
		distinct[id] = true
	}
	return len(distinct), len(h.bodies)
}

// A hookCall is one connection of a hook.
type hookCall struct {
	net.Conn
	hook    *hook
	in      *bufio.Reader
	request *http.Request
	body    []byte
}

// read takes the message.
func (c *hookCall) read() bool {
	if c.request != nil {
		return true
	}
	r, err := http.ReadRequest(c.in)
	if err != nil {
		return false
	}
	if c.body, err = io.ReadAll(r.Body); err != nil {
		return false
	}
	c.request = r
	c.hook.mu.Lock()
	defer c.hook.mu.Unlock()
	c.hook.ids = append(c.hook.ids, r.Header.Get("Webhook-Id"))
	c.hook.bodies[string(c.body)] = true
	return true
}

// apply has the app do what the message says.
func (c *hookCall) apply() *http.Response {
	if !c.read() {
		return nil
	}
	answer := httptest.NewRecorder()
	r := c.request.Clone(c.hook.w.t.Context())
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	c.hook.w.App.ServeHTTP(answer, r)
	return answer.Result()
}

// behave answers as the app does.
func (c *hookCall) behave() {
	if r := c.apply(); r != nil {
		r.Close = true
		_ = r.Write(c)
	}
}

// send sends an answer as it stands, with CRLF for LF.
func (c *hookCall) send(text string) bool {
	_, err := io.WriteString(c.Conn, strings.ReplaceAll(text, "\n", "\r\n"))
	return err == nil
}

// wait takes what comes until the program hangs up.
func (c *hookCall) wait() { _, _ = io.Copy(io.Discard, c.in) }

// repeat sends a piece until the program hangs up.
func (c *hookCall) repeat(piece string, pause time.Duration) {
	block := []byte(strings.ReplaceAll(piece, "\n", "\r\n"))
	if pause == 0 {
		block = bytes.Repeat(block, 1+32<<10/len(block))
	}
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// answering reads the message and sends an answer: status line, header, empty
// line and body.
func answering(text string) func(*hookCall) {
	return func(c *hookCall) { _ = c.read() && c.send(text) }
}

// answeringJSON is answering with a body and what it takes.
func answeringJSON(status, body string) func(*hookCall) {
	return answering("HTTP/1.1 " + status + "\nContent-Type: application/json\nConnection: close\n\n" + body)
}

// answeringThen sends the beginning of an answer, and goes on in its way.
func answeringThen(text string, then func(*hookCall)) func(*hookCall) {
	return func(c *hookCall) {
		if c.read() && c.send(text) {
			then(c)
		}
	}
}

// applying has the app take the message before whatever comes.
func applying(then func(*hookCall)) func(*hookCall) {
	return func(c *hookCall) {
		if c.apply() != nil {
			then(c)
		}
	}
}

func flooding(piece string) func(*hookCall) { return func(c *hookCall) { c.repeat(piece, 0) } }

// slowly sends a piece again and again.
func slowly(piece string) func(*hookCall) {
	return func(c *hookCall) { c.repeat(piece, 20*time.Millisecond) }
}

// resetting ends the connection with a RST.
func resetting(c *hookCall) {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

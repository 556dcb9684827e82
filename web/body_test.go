package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func TestBody(t *testing.T) {
	const limit = 64 << 10
	for _, tt := range []struct {
		name   string
		body   io.Reader
		coding string
		want   web.Fault
		length int
	}{
		{"none", nil, "-", "", 0},
		{"some", strings.NewReader("abc"), "-", "", 3},
		{"the most", strings.NewReader(strings.Repeat("a", limit)), "-", "", limit},
		{"one more", strings.NewReader(strings.Repeat("a", limit+1)), "-", web.FaultTooLarge, 0},
		{"the most, not announced", io.MultiReader(strings.NewReader(strings.Repeat("a", limit))), "-", "", limit},
		{"one more, not announced", io.MultiReader(strings.NewReader(strings.Repeat("a", limit+1))), "-", web.FaultTooLarge, 0},
		{"compressed", strings.NewReader("abc"), "gzip", web.FaultMedia, 0},
		{"not compressed", strings.NewReader("abc"), "identity", web.FaultMedia, 0},
		{"no coding named", strings.NewReader("abc"), "", web.FaultMedia, 0},
		{"cut off", io.MultiReader(strings.NewReader("abc"), broken{}), "-", web.FaultRequest, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
				body, fault := c.Body()
				if fault != tt.want || len(body) != tt.length {
					t.Errorf("%d bytes, %q", len(body), fault)
				}
				done(c)
			})
			r := httptest.NewRequest("POST", "https://app.test/theirs/x", tt.body)
			if tt.coding != "-" {
				r.Header.Set("Content-Encoding", tt.coding)
			}
			visit(t, newHandler(t, o), r)
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestMedia(t *testing.T) {
	for _, tt := range []struct {
		header         []string
		media, charset string
		ok             bool
	}{
		{[]string{"application/json"}, "application/json", "", true},
		{[]string{"Application/JSON; Charset=ISO-8859-1"}, "application/json", "iso-8859-1", true},
		{[]string{`text/plain;charset="UTF-8"`}, "text/plain", "utf-8", true},
		{nil, "", "", false},
		{[]string{""}, "", "", false},
		{[]string{"application/json", "application/json"}, "", "", false},
		{[]string{"application/json, text/plain"}, "", "", false},
		{[]string{"application/json; x=y"}, "", "", false},
		{[]string{"application/json; charset=utf-8; x=y"}, "", "", false},
		{[]string{"application/json; charset=utf-8; charset=utf-16"}, "", "", false},
		{[]string{`application/json; charset=""`}, "", "", false},
		{[]string{`application/json; charset="`}, "", "", false},
		{[]string{"multipart/form-data; boundary=x"}, "", "", false},
	} {
		o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
			if media, charset, ok := c.Media(); media != tt.media || charset != tt.charset || ok != tt.ok {
				t.Errorf("%q: %q, %q, %v", tt.header, media, charset, ok)
			}
			done(c)
		})
		r := httptest.NewRequest("POST", "https://app.test/theirs/x", nil)
		r.Header["Content-Type"] = tt.header
		visit(t, newHandler(t, o), r)
	}
}

func TestParseForm(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       url.Values // nil: refused
	}{
		{"empty", "", url.Values{}},
		{"twice", "a=1&b=%20&a=+", url.Values{"a": {"1", " "}, "b": {" "}}},
		{"not UTF-8", "a=%ff", url.Values{"a": {"\xff"}}},
		{"the most", strings.Repeat("a&", 63), url.Values{"a": slices.Repeat([]string{""}, 63)}},
		{"one more", strings.Repeat("a&", 64), nil},
		{"semicolon", "a;b", nil},
		{"bad escape", "a=%zz", nil},
	} {
		got, ok := web.ParseForm([]byte(tt.body))
		if ok != (tt.want != nil) || ok && !maps.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("%s: %q, %v", tt.name, got, ok)
		}
	}
}

// A client that announces a body and sends none gets its answer and loses the
// connection, also on routes that read no body.
func TestHalfOpenBodies(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, ours := h.Route(r)
		if !ours {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r, route, netip.Addr{})
	}))
	t.Cleanup(server.Close)
	for _, request := range []string{
		"GET /password-reset HTTP/1.1\r\nContent-Length: 1000\r\n",
		"PUT /password-reset HTTP/1.1\r\nContent-Length: 1000\r\n",
		"POST /password-reset HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n",
		"POST /password-reset HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nTransfer-Encoding: chunked\r\n",
	} {
		t.Run(strings.Fields(request)[0], func(t *testing.T) {
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second)) // less than a body may take
			fmt.Fprintf(c, "%sHost: app.test\r\n\r\n", request)
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			io.Copy(io.Discard, r.Body)
			if !r.Close {
				t.Error("the connection goes on")
			}
		})
	}
}

// A body that does not come to its end holds the call for a while, and no
// longer, whether the dialect reads it or not.
func TestSlowBody(t *testing.T) {
	for _, reads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			faults := make(chan web.Fault, 1)
			o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
				var fault web.Fault
				if reads {
					_, fault = c.Body()
				}
				faults <- fault
				say("answered")(c)
			})
			there, here := net.Pipe()
			listener := make(pipes, 1)
			listener <- there
			server := &http.Server{Handler: handle(newHandler(t, o))}
			go server.Serve(listener)
			defer server.Close()
			began := time.Now()
			var client sync.WaitGroup
			client.Go(func() {
				_, err := io.WriteString(here, "POST /theirs/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\n")
				for err == nil { // a byte now and then
					time.Sleep(2 * time.Second)
					_, err = here.Write([]byte("a"))
				}
			})
			answer, err := io.ReadAll(here)
			if err != nil || !strings.Contains(string(answer), "answered") || !strings.Contains(string(answer), "Connection: close") {
				t.Errorf("reads %v: %v\n%s", reads, err, answer)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("reads %v: it took %s", reads, took)
			}
			if fault := <-faults; fault != map[bool]web.Fault{true: web.FaultRequest}[reads] {
				t.Errorf("reads %v: %q", reads, fault)
			}
			here.Close()
			client.Wait()
		})
	}
}

// pipes is a listener for connections that are there already.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

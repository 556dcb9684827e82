package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

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

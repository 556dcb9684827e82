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
	"testing"
	"time"
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

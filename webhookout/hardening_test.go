package webhookout_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

// A hostile app behaves badly on one connection, which is closed at the end of
// the test at the latest.
type hostile func(conn net.Conn)

// serve runs a hostile app and returns its address.
func serve(t *testing.T, app hostile) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				app(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// readRequest reads one request and returns all of its bytes.
func readRequest(conn net.Conn) []byte {
	var raw bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &raw)))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	return raw.Bytes()
}

// untilClosed waits for the client to hang up.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// send repeats a piece until the client hangs up.
func send(conn net.Conn, piece []byte, pause time.Duration) {
	for {
		if _, err := conn.Write(piece); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

func answering(text string, then hostile) hostile {
	return func(conn net.Conn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, text)
		if then != nil {
			then(conn)
		}
	}
}

func TestHostileApps(t *testing.T) {
	const timeout = 300 * time.Millisecond
	zeros := make([]byte, 1<<20)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	drip := func(piece string) hostile {
		return func(conn net.Conn) { send(conn, []byte(piece), 10*time.Millisecond) }
	}
	flood := func(piece string) hostile {
		block := bytes.Repeat([]byte(piece), 1000)
		return func(conn net.Conn) { send(conn, block, 0) }
	}

	tests := []struct {
		name    string
		app     hostile
		verdict reset.Verdict
		alarm   bool
		err     string
	}{
		{"says nothing", untilClosed, reset.Retry, false, "no answer in time"},
		{"reads and says nothing", answering("", untilClosed), reset.Retry, false, "no answer in time"},
		{"hangs up at once", func(net.Conn) {}, reset.Retry, false, ""},
		{"reads and hangs up", answering("", nil), reset.Retry, false, "connection closed"},
		{"reads and resets", answering("", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), reset.Retry, false, "reset"},
		{"drips the status line", drip("H"), reset.Retry, false, ""},
		{"drips the header", answering("HTTP/1.1 200 OK\r\n", drip("x: y\r\n")), reset.Retry, false, "no answer in time"},
		{"header without end", answering("HTTP/1.1 200 OK\r\n", flood("x: y\r\n")), reset.Retry, false, "no valid HTTP answer"},
		{"header line without end", answering("HTTP/1.1 200 OK\r\nx: ", flood("y")), reset.Retry, false, "no valid HTTP answer"},
		{"flood of 100", answering("", flood("HTTP/1.1 100 Continue\r\n\r\n")), reset.Retry, false, "no valid HTTP answer"},
		{"flood of 103", answering("", flood("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")), reset.Retry, false, "no valid HTTP answer"},
		{"drips 103", answering("", drip("HTTP/1.1 103 Early Hints\r\n\r\n")), reset.Retry, false, "no answer in time"},
		{"switches protocols", answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", untilClosed), reset.Retry, true, "101"},
		{"redirect", answering("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", nil), reset.Retry, true, "redirect"},
		{"answers late", answering("", func(c net.Conn) {
			time.Sleep(timeout + 50*time.Millisecond)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		}), reset.Retry, false, "no answer in time"},
		{"200 and drips JSON", answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":\"", drip("x")), reset.Applied, false, ""},
		{"200 and JSON without end", answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[", flood("1,")), reset.Applied, false, ""},
		{"200 and HTML without end", answering("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", flood("<p>")), reset.Retry, true, "not JSON"},
		{"200 and no body comes", answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", untilClosed), reset.Applied, false, ""},
		{"200 and the body breaks off", answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\":", nil), reset.Applied, false, ""},
		{"422 and a detail without end", answering("HTTP/1.1 422 X\r\n\r\n{\"detail\":\"", flood("x")), reset.Refused, false, ""},
		{"chunk of 16 EiB", answering("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", flood("x")), reset.Retry, false, "500"},
		{"Content-Length of 8 EiB", answering("HTTP/1.1 500 X\r\nContent-Length: 9223372036854775807\r\n\r\n", flood("x")), reset.Retry, false, "500"},
		{"gzip bomb", answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"+bomb.String(), nil), reset.Retry, true, "not JSON"},
		{"not HTTP", answering("220 mail.example.com ESMTP\r\n", untilClosed), reset.Retry, false, "no valid HTTP answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: "http://" + serve(t, tt.app) + "/hook?s3cret", Timeout: timeout})}
			start := time.Now()
			got := target.Apply(context.Background(), change)
			// Wide, as the machine may be busy; without a bound these never end.
			if took := time.Since(start); took > timeout+5*time.Second {
				t.Errorf("took %s", took)
			}
			if got.Verdict != tt.verdict || got.Alarm != tt.alarm {
				t.Errorf("got %+v", got)
			}
			if tt.verdict == reset.Retry && (got.Err == nil || !strings.Contains(got.Err.Error(), tt.err)) {
				t.Errorf("error %v, want one with %q", got.Err, tt.err)
			}
			if len([]rune(got.Detail)) > 500 {
				t.Errorf("detail of %d bytes", len(got.Detail))
			}
		})
	}
}

// A peer that is no web server may send back what it gets; the transport
// quotes it in its errors.
func TestEchoIsNotLogged(t *testing.T) {
	for name, prefix := range map[string]string{
		"instead of an answer":   "",
		"within a header":        "HTTP/1.1 200 OK\r\n",
		"within a header's name": "HTTP/1.1 200 OK\r\nx",
		"within a status":        "HTTP/1.1 ",
		"within a length":        "HTTP/1.1 200 OK\r\nContent-Length: ",
		"within a coding":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(conn net.Conn) {
				raw := readRequest(conn)
				_, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
				_, _ = io.WriteString(conn, prefix+string(body)+"\r\n\r\n")
			})
			target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: "http://" + address + "/"})}
			got := target.Apply(context.Background(), change)
			if got.Verdict != reset.Retry || got.Err == nil || strings.Contains(got.Err.Error(), "password") || strings.Contains(got.Err.Error(), "alice") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// What an app sends behind its answer, net/http would log of a connection that
// is kept.
func TestEchoBehindAnAnswerIsNotLogged(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	for name, answer := range map[string]string{
		"behind a status": "HTTP/1.1 204 No Content\r\n\r\n",
		"behind a body":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"behind chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			address := serve(t, func(conn net.Conn) {
				raw := readRequest(conn)
				_, _ = io.WriteString(conn, answer+string(raw))
				untilClosed(conn)
				close(closed)
			})
			client := newClient(t, webhookout.Options{URL: "http://" + address + "/"})
			if a := client.Post(context.Background(), webhookout.Message{ID: "msg_1", Body: []byte(`{"value":"hunter2"}`)}); !a.OK() {
				t.Errorf("got %+v", a)
			}
			<-closed // the transport has seen all of it
		})
	}
	if logged.Len() > 0 {
		t.Errorf("logged: %s", logged.String())
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	client := newClient(t, webhookout.Options{URL: "http://" + l.Addr().String() + "/?s3cret"})
	a := client.Post(context.Background(), message)
	if a.Err == nil || a.Alarm() || !strings.Contains(a.Err.Error(), "refused") || strings.Contains(a.Err.Error(), "s3cret") {
		t.Errorf("got %+v", a)
	}
}

func TestNoTLSAtThePort(t *testing.T) {
	client := newClient(t, webhookout.Options{URL: "https://" + serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		untilClosed(conn)
	})})
	if a := client.Post(context.Background(), message); !a.Alarm() || !strings.Contains(a.Err.Error(), "TLS") {
		t.Errorf("got %+v", a)
	}
}

// A connection that is being opened outlives the request that it was for, and
// counts. One peer that stalls in the TLS handshake must not use up all of
// them for good.
func TestStalledHandshakesAreLetGo(t *testing.T) {
	var mu sync.Mutex
	handshakes := 0
	client := newClient(t, webhookout.Options{Connections: 1, Timeout: 100 * time.Millisecond, URL: "https://" + serve(t, func(conn net.Conn) {
		mu.Lock()
		handshakes++
		mu.Unlock()
		untilClosed(conn)
	})})
	for i := range 3 {
		if a := client.Post(context.Background(), message); a.Err == nil {
			t.Fatalf("got %+v", a)
		}
		deadline := time.Now().Add(5 * time.Second)
		for {
			mu.Lock()
			n := handshakes
			mu.Unlock()
			if n > i {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("attempt %d opened no connection", i+1)
			}
			client.Post(context.Background(), message)
		}
	}
}

// Many large answers at a time cost no more than what is read of them.
func TestMemoryIsBounded(t *testing.T) {
	block := bytes.Repeat([]byte("x"), 1<<20)
	address := serve(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", func(conn net.Conn) { send(conn, block, 0) }))
	client := newClient(t, webhookout.Options{URL: "http://" + address, Connections: 4})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 50 {
		if a := client.Post(context.Background(), message); len(a.Body) != 64<<10 || !a.Truncated {
			t.Fatalf("%d bytes, truncated %v, %v", len(a.Body), a.Truncated, a.Err)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 50; per > 1<<20 {
		t.Errorf("%d bytes allocated for one answer", per)
	}
}

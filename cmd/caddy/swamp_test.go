package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// halfOpen holds n requests open that never send the rest of their body, as
// Slowloris does. Others are served meanwhile, and each is ended.
func (f *flood) halfOpen(n int) {
	f.t.Helper()
	const what = "half-open requests"
	host := strings.TrimPrefix(f.Site, "http://")
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", host)
		if err != nil {
			f.t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"login\":", surface, host)
		conns[i] = c
	}
	f.bystanders(func() {
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				c.SetReadDeadline(time.Now().Add(40 * time.Second))
				if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
					f.trial.Violation("%s: one is open still after 40 s", what)
				}
			})
		}
		wg.Wait()
	})
	f.trial.Runs(n)
	f.bounded(what)
}

// oversized sends bodies that are too large, by their announcement and without
// one, some in a coding that would make them larger still (CVE-2023-45290).
func (f *flood) oversized(n int) {
	f.t.Helper()
	const what = "oversized bodies"
	host := strings.TrimPrefix(f.Site, "http://")
	chunk := "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n"
	requests := []struct{ header, body, want string }{
		{"Content-Length: 104857600", strings.Repeat("x", 1<<16), "413"},
		{"Transfer-Encoding: chunked", strings.Repeat(chunk, 16) + "0\r\n\r\n", "413"},
		{"Content-Encoding: gzip\r\nContent-Length: 65536", strings.Repeat("x", 1<<16), "415"},
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			q := requests[i%len(requests)]
			c, err := net.Dial("tcp", host)
			if err != nil {
				f.t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			go fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n%s\r\n\r\n%s", surface, host, q.header, q.body)
			start := make([]byte, 12)
			if _, err := io.ReadFull(c, start); err == nil && string(start[9:]) != q.want {
				f.trial.Violation("%s: %s is answered %s", what, q.header, start)
			}
		})
	}
	wg.Wait()
	f.trial.Runs(n)
	f.bounded(what)
}

// resets opens streams of HTTP/2 and takes each back at once (CVE-2023-39325).
// Nothing may be stored for a request whose body has not come.
func (f *flood) resets(n int) {
	f.t.Helper()
	const what = "rapid resets"
	before := f.storeFile().ModTime()
	host := strings.TrimPrefix(f.Site, "http://")
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", host}, {":path", surface}, {"content-type", "application/json"}, {"content-length", "100"},
	} {
		if err := e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}); err != nil {
			f.t.Fatal(err)
		}
	}
	sent, connections := 0, 0
	for ; sent < n; connections++ {
		sent += f.resetOn(host, block.Bytes(), min(n-sent, 10_000))
	}
	f.trial.Runs(sent)
	f.rates = append(f.rates, fmt.Sprintf("%s %d on %d connections", what, sent, connections))
	if r, err := f.try("GET", "/", ""); err != nil || r.Status != http.StatusOK {
		f.trial.Violation("%s: the app is answered %d %v", what, r.Status, err)
	}
	if f.storeFile().ModTime() != before {
		f.trial.Violation("%s: the store was written", what)
	}
}

// resetOn resets up to n streams of one connection and returns how many the
// server let through until it had enough.
func (f *flood) resetOn(host string, block []byte, n int) (sent int) {
	f.t.Helper()
	c, err := net.Dial("tcp", host)
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	var enough atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(io.Discard, c) // the server ends it
		enough.Store(true)
	})
	defer wg.Wait()
	defer c.Close()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		f.t.Fatal(err)
	}
	framer := http2.NewFramer(c, nil)
	if err := framer.WriteSettings(); err != nil {
		f.t.Fatal(err)
	}
	for ; sent < n && !enough.Load(); sent++ {
		stream := uint32(2*sent + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true}) != nil ||
			framer.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
			break
		}
	}
	return max(sent, 1)
}

// randomToken has the form of a link token.
func randomToken(r *rand.Rand) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, 64)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

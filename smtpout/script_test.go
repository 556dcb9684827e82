package smtpout_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A move is one step of a hostile relay.
type move func(c net.Conn, r *bufio.Reader) (goOn bool)

// say answers, whatever was asked.
func say(text string) move {
	return func(c net.Conn, _ *bufio.Reader) bool {
		_, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n")
		return err == nil
	}
}

// hear reads one command.
func hear(c net.Conn, r *bufio.Reader) bool {
	_, err := r.ReadString('\n')
	return err == nil
}

// take reads a message up to its dot.
func take(c net.Conn, r *bufio.Reader) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return err == nil
		}
	}
}

// part reads some bytes of what comes.
func part(n int64) move {
	return func(_ net.Conn, r *bufio.Reader) bool {
		_, err := io.CopyN(io.Discard, r, n)
		return err == nil
	}
}

// hang takes what comes and answers nothing until the client gives up.
func hang(_ net.Conn, r *bufio.Reader) bool {
	_, _ = io.Copy(io.Discard, r)
	return false
}

// deaf reads nothing until the client gives up, which a write shows.
func deaf(c net.Conn, _ *bufio.Reader) bool {
	c.(*net.TCPConn).SetReadBuffer(4096)
	for {
		time.Sleep(20 * time.Millisecond)
		if _, err := io.WriteString(c, " "); err != nil {
			return false
		}
	}
}

// flood sends without end.
func flood(text string) move {
	return func(c net.Conn, _ *bufio.Reader) bool {
		chunk := []byte(strings.Repeat(text, 1000))
		for {
			if _, err := c.Write(chunk); err != nil {
				return false
			}
		}
	}
}

// drip sends a byte at a time.
func drip(c net.Conn, _ *bufio.Reader) bool {
	for {
		if _, err := io.WriteString(c, "2"); err != nil {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// script runs the same moves on every connection. What was read is in the
// returned buffer.
func script(t testing.TB, moves ...move) (address string, heard *safeBuffer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard = &safeBuffer{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(io.TeeReader(c, heard))
				for _, m := range moves {
					if !m(c, r) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), heard
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var (
	hello = []move{say("220 relay"), hear, say("250-relay\n250 SIZE 100000")}
	mail  = append(hello[:len(hello):len(hello)], hear)
	rcpt  = append(mail[:len(mail):len(mail)], say("250 2.1.0 ok"), hear)
	data  = append(rcpt[:len(rcpt):len(rcpt)], say("250 2.1.5 ok"), hear)
	text  = append(data[:len(data):len(data)], say("354 go"))
	dot   = append(text[:len(text):len(text)], take)
)

func after(before []move, then ...move) []move {
	return append(before[:len(before):len(before)], then...)
}

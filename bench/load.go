package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A load sends requests over connections that are kept open, on each the next
// one when the last is answered.
type load struct {
	address     string // host:port
	connections int

	// request returns the n-th request, counted from 0 over all connections, or
	// nil if there is none: then the load ends.
	request func(n int) []byte

	// accepts judges an answer. The body is its own only until it returns.
	accepts func(n, status int, body []byte) error
}

// on is run against a server that is asked what it takes for that.
func (l load) on(ctx context.Context, s *server, most time.Duration) (sample, error) {
	cpu, err1 := s.cpu()
	written, err2 := s.written()
	got, err3 := l.run(ctx, most)
	if err := errors.Join(err1, err2, err3); err != nil {
		return got, err
	}
	cpuThen, err1 := s.cpu()
	writtenThen, err2 := s.written()
	got.cpu = (cpuThen - cpu) / time.Duration(got.requests)
	got.written = float64(writtenThen-written) / float64(got.requests)
	return got, errors.Join(err1, err2)
}

// run sends requests for at most that long.
func (l load) run(ctx context.Context, most time.Duration) (sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	latency := make([][]time.Duration, l.connections)
	var running sync.WaitGroup
	begun := time.Now()
	for i := range latency {
		running.Go(func() {
			var err error
			latency[i], err = l.stream(ctx, begun.Add(most), &next)
			if err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	s := sample{elapsed: time.Since(begun), latency: slices.Concat(latency...)}
	s.requests = len(s.latency)
	slices.Sort(s.latency)
	if err := context.Cause(ctx); err != nil {
		return s, err
	}
	if s.requests == 0 {
		return s, errors.New("no request was answered")
	}
	return s, nil
}

// stream is what one connection does.
func (l load) stream(ctx context.Context, end time.Time, next *atomic.Int64) (latency []time.Duration, err error) {
	c, err := dial(l.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for ctx.Err() == nil {
		n := int(next.Add(1) - 1)
		request := l.request(n)
		begun := time.Now()
		if request == nil || !begun.Before(end) {
			return latency, nil
		}
		status, body, err := c.do(request)
		if err != nil {
			return latency, err
		}
		latency = append(latency, time.Since(begun))
		if err := l.accepts(n, status, body); err != nil {
			return latency, err
		}
	}
	return latency, nil
}

// A connection speaks just enough HTTP/1.1 to cost the driver little of the
// machine that it shares with the server.
type connection struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

// answerTime bounds one answer.
const answerTime = time.Minute

func dial(address string) (*connection, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, r: bufio.NewReader(c)}, nil
}

var contentLength = []byte("content-length")

// do sends a request and returns the answer, which must give its length.
func (c *connection) do(request []byte) (status int, body []byte, err error) {
	_ = c.SetDeadline(time.Now().Add(answerTime))
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status in %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return status, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return status, nil, err
			}
		}
	}
	if length < 0 {
		return status, nil, fmt.Errorf("an answer %d without a length", status)
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.r, c.body)
	return status, c.body, err
}

// get and post are requests of one visitor.
func get(host, target string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
}

func post(host, target, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", target, host, len(body), body)
}

// answered accepts one status.
func answered(want int) func(n, status int, body []byte) error {
	return func(_, status int, body []byte) error {
		if status != want {
			return fmt.Errorf("answered %d: %.200s", status, body)
		}
		return nil
	}
}

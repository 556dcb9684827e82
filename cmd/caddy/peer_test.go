package main

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// A peer is a server that misbehaves until it is mended.
type peer struct {
	mu      sync.Mutex
	mended  bool
	dialled int           // connections so far
	longest time.Duration // that one of them lasted
}

// listen has serve answer all connections until the end of the test, and
// returns the port.
func (p *peer) listen(t testing.TB, serve func(net.Conn)) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				begun := time.Now()
				p.mu.Lock()
				p.dialled++
				p.mu.Unlock()
				serve(c)
				p.mu.Lock()
				p.longest = max(p.longest, time.Since(begun))
				p.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait() // the program has ended by now, and with it what waits for it
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// mend makes the peer behave from now on.
func (p *peer) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mended = true
}

func (p *peer) isMended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mended
}

// met returns how often it was dialled, and how long a connection lasted.
func (p *peer) met() (dialled int, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialled, p.longest
}

// A peerTry is one way to misbehave, tried at a site of its own.
type peerTry interface {
	run() error
	afterwards() error // when all have run
	String() string
}

// triesAtOnce keeps a program at a hurried pace from missing its deadlines only
// for what is asked of it.
const triesAtOnce = 64

// tryAll makes tries, some of them beside each other.
func tryAll[T peerTry](tr *trial.Trial, tries []T, fail func(format string, args ...any)) {
	var running sync.WaitGroup
	turn := make(chan struct{}, triesAtOnce)
	for _, try := range tries {
		turn <- struct{}{}
		running.Go(func() {
			defer func() { <-turn }()
			tr.Run()
			if err := try.run(); err != nil {
				fail("%s: %w", try, err)
			}
		})
	}
	running.Wait()
	for _, try := range tries {
		if err := try.afterwards(); err != nil {
			fail("%s: %w", try, err)
		}
	}
}
